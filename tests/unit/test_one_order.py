"""What is written has one order, whatever PYTHONHASHSEED is: the same run in two processes gives the same files."""

import json
import os
import subprocess
import sys

from tests.conftest import TINY

CODE = """
import json, sys
from pathlib import Path
from sordino.config import Config, Training
from sordino.datasets import load_dataset
from sordino.results import score_rows, scored_answers, to_csv, to_jams
from sordino.study.rows import rows_of
from sordino.study.report.table import markdown
from sordino.training.run import train

dataset, out = load_dataset("demo"), Path(sys.argv[1])
some = [[track for track in dataset.tracks() if track.split == split][:2] for split in ("train", "validation", "test")]
dataset.tracks = lambda: sum(some, [])
settings = Training(steps=1, batch_size=2, precision="float32", segment_s=2.0, cache="off", accelerator="cpu",
                    balanced=True)
tasks = ["key", "tempo", "beat", "chord", {"name": "tagging", "label": "instruments"},
         {"name": "classification", "label": "key"}]
config = Config("demo", None, tasks, json.loads(sys.argv[2]), "lora+prefix", {}, settings)
run = train(config, out, dataset=dataset)
model = run.model()
rows = rows_of([run])
for row in rows:
    row.step_s = row.peak_memory_bytes = None
scored = run.result["tasks"]
print(markdown(rows), to_csv(score_rows(scored)), *(to_jams(a, model.tasks) for a in scored_answers(scored)))
for path in sorted(out.rglob("*.json")):
    told = json.loads(path.read_text())
    for measured in ("step_s", "peak_memory_bytes", "seconds", "train_cpu_s"):
        told.pop(measured, None)
    print(path.relative_to(out), json.dumps(told))
"""


def test_the_order_of_results_does_not_depend_on_the_hash_seed(tmp_path):
    own = []
    for seed in ("1", "2"):
        words = [sys.executable, "-c", CODE, str(tmp_path / seed), json.dumps(TINY)]
        given = {**os.environ, "PYTHONHASHSEED": seed}
        own.append(subprocess.Popen(words, env=given, stdout=subprocess.PIPE, text=True))
    told = [process.communicate()[0] for process in own]
    assert [process.returncode for process in own] == [0, 0]
    assert told[0] == told[1] and "result.json" in told[0] and "adapter.json" in told[0]
