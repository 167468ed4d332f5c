"""How `real_music.py` scores: kinds of error, genre by folds, rows with paired intervals."""

import numpy as np

N_BOOTSTRAP = 2000
METRICS = {
    "key": {"weighted": "weighted_score"},
    "tempo": {"accuracy 1": "accuracy1", "accuracy 2": "accuracy2"},
    "beat": {"F1": "f_measure", "F1 from 0 s": "f_measure_full"},
}
RATIOS = {"2": 2, "1/2": 1 / 2, "2/3": 2 / 3, "3/2": 3 / 2, "4/3": 4 / 3, "3/4": 3 / 4, "3": 3, "1/3": 1 / 3}
KEY_ERRORS = ("fifth", "fifth_below", "relative", "parallel", "other")
N_FOLDS, N_DRAWS = 5, 4


def tempo_error(label, answer, tolerance=0.04):
    """Which simple ratio of the reference the answer is."""
    near = {kind: abs(answer / (label * ratio) - 1) for kind, ratio in {"correct": 1, **RATIOS}.items()}
    kind = min(near, key=near.get)
    return kind if near[kind] <= tolerance else "other"


def classify(features, genres):
    """Accuracy of each state and track over the draws of the folds, [state track], and of the state chosen inside."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def model():
        return make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=500))

    n_tracks, n_states, _ = features.shape
    hit, chosen = np.zeros((n_states, n_tracks)), np.zeros(n_tracks)
    for draw in range(N_DRAWS):
        folds = StratifiedKFold(N_FOLDS, shuffle=True, random_state=draw)
        for train, test in folds.split(features, genres):
            inside = []
            for state in range(n_states):
                x = features[:, state]
                right = model().fit(x[train], genres[train]).predict(x[test]) == genres[test]
                hit[state, test] += right / N_DRAWS
                if n_states > 1:
                    guessed = cross_val_predict(model(), x[train], genres[train], cv=N_FOLDS - 1)
                    inside.append(((guessed == genres[train]).mean(), right))
            if inside:
                chosen[test] += max(inside, key=lambda pair: pair[0])[1] / N_DRAWS
    return hit, chosen if n_states > 1 else hit[0]


class Table:
    """Rows of one question: every row's scores by track, and their distance to the first row's."""

    def __init__(self):
        self.rows = []

    def add(self, task, metric, name, scores, errors=(), note=""):
        """Add a row from scores [track], or [seed track]."""
        scores = np.atleast_2d(scores).mean(0)
        picks = np.random.default_rng(0).integers(len(scores), size=(N_BOOTSTRAP, len(scores)))
        first = next((row for row in self.rows if row["task"] == task and row["metric"] == metric), None)
        row = {"task": task, "metric": metric, "name": name, "n_tracks": len(scores), "mean": float(scores.mean()),
               "interval": np.percentile(scores[picks].mean(1), [2.5, 97.5]).tolist(), "errors": dict(errors),
               "note": note, "per_track": scores.tolist()}  # fmt: skip
        if first is not None:
            apart = scores - np.array(first["per_track"])
            row["difference"] = float(apart.mean())
            row["difference_interval"] = np.percentile(apart[picks].mean(1), [2.5, 97.5]).tolist()
        self.rows.append(row)

    def markdown(self):
        """All rows, question by question."""
        lines = ["| question | metric | row | score | 95 % | minus the first row | errors | note |", "|" + "---|" * 8]
        order = {name: number for number, name in enumerate([*METRICS, "genre"])}
        for row in sorted(self.rows, key=lambda row: (order[row["task"]], row["metric"])):
            apart = "" if "difference" not in row else "{:+.3f} [{:+.3f}, {:+.3f}]".format(
                row["difference"], *row["difference_interval"])  # fmt: skip
            errors = ", ".join(f"{kind} {count:g}" for kind, count in row["errors"].items())
            cells = [f"{row['task']} ({row['n_tracks']})", row["metric"], row["name"], f"{row['mean']:.3f}",
                     "{:.3f} to {:.3f}".format(*row["interval"]), apart, errors, row["note"]]  # fmt: skip
            lines.append("| " + " | ".join(cells) + " |")
        return "\n".join(lines) + "\n"
