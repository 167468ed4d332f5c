#!/usr/bin/env bash
# The arms of experiments/evidence/arms.toml: mini taught by music alone, each time with other questions; about 15 minutes
# of one core each. The last two go on from mel tokens, for experiments/transfer/continued.toml: with the same question, and
# with regressions of tone and time beside it. Stopped, the same command goes on. Tokens alone are learned at a lower rate:
# at 1.5e-3 either kind alone stayed at its unigram entropy for all 1,500 steps, and its states told nothing any more.
#
#     tools/arms.sh CORPUS [OUT]        # CORPUS: what tools/build_corpus.py left
set -euo pipefail
corpus=$1 out=${2:-runs/arms}
tokens="--skip mel_tokens --skip pitch_tokens"
regressions="--skip chroma --skip onsets --skip timbre --skip harmony --skip pulse"
moves="--skip tempo_moves --skip key_moves"

arm() {
  local name=$1 lr=$2
  shift 2
  sordino pretrain "$corpus/packages" --store "$corpus/store" --out "$out/$name" --batch-size 8 --lr "$lr" --steps 1500 "$@"
}

# shellcheck disable=SC2086
{
  arm mel_tokens 4e-4 --quantiser random $regressions $moves --skip pitch_tokens
  arm pitch_tokens 4e-4 --quantiser random $regressions $moves --skip mel_tokens
  arm both_tokens 4e-4 --quantiser random $regressions $moves
  arm both_learned 4e-4 --quantiser residual $regressions $moves
  arm regression 1.5e-3 $tokens $moves
  arm regression_moves 1.5e-3 $tokens
  arm no_moves 1.5e-3 --quantiser residual $moves
  arm all_questions 1.5e-3 --quantiser residual
  arm mel_tokens_longer 4e-4 --start-from "$out/mel_tokens/mini.safetensors" --steps 750 --quantiser random $regressions \
    $moves --skip pitch_tokens
  arm mel_tokens_tonal 4e-4 --start-from "$out/mel_tokens/mini.safetensors" --steps 750 --quantiser random $moves \
    --skip pitch_tokens --skip timbre
}
