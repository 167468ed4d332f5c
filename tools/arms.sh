#!/usr/bin/env bash
# The arms of experiments/evidence/arms.toml: mini taught by music alone, each time with other questions; about 15 minutes
# of one core each. Stopped, the same command goes on.
#
#     tools/arms.sh CORPUS [OUT]        # CORPUS: what tools/build_corpus.py left
set -euo pipefail
corpus=$1 out=${2:-runs/arms}
tokens="--skip mel_tokens --skip pitch_tokens"
regressions="--skip chroma --skip onsets --skip timbre --skip harmony --skip pulse"
moves="--skip tempo_moves --skip key_moves"

arm() {
  local name=$1
  shift
  sordino pretrain "$corpus/packages" --store "$corpus/store" --out "$out/$name" --steps 1500 --batch-size 8 --lr 1.5e-3 "$@"
}

# shellcheck disable=SC2086
{
  arm mel_tokens --quantiser random $regressions $moves --skip pitch_tokens
  arm pitch_tokens --quantiser random $regressions $moves --skip mel_tokens
  arm both_tokens --quantiser random $regressions $moves
  arm both_learned --quantiser residual $regressions $moves
  arm regression $tokens $moves
  arm regression_moves $tokens
  arm no_moves --quantiser residual $moves
  arm all_questions --quantiser residual
}
