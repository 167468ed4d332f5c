"""Config: TOML and key=value, strict, the same run always under the same id."""

import pytest

from sordino.config import Config, Training, load_config, make_config, parse_value, specs


def test_specs_have_one_long_form():
    assert specs("lora+prefix", "method") == [{"name": "lora"}, {"name": "prefix"}]
    assert specs({"name": "lora", "r": 4}, "method") == [{"name": "lora", "r": 4}]
    assert specs(["key", {"name": "tempo"}], "task") == [{"name": "key"}, {"name": "tempo"}]
    with pytest.raises(ValueError, match="not understood"):
        specs(3, "task")


def test_toml_then_keywords_then_assignments(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('task = "tempo"\nmethod = {name = "lora", r = 4}\n[training]\nsteps = 5\nlr = 1\n')
    config = load_config(path, ["training.steps=7", "method.r=8", "head.pool=attention"], task="key")
    assert (config.task, config.training.steps, config.training.lr) == ("key", 7, 1.0)
    assert config.method == {"name": "lora", "r": 8}
    assert config.head == {"pool": "attention"}


def test_an_option_makes_a_table_of_a_bare_name():
    assert load_config(None, ["method.r=4"]).method == {"name": "lora", "r": 4}
    assert load_config(None, ["backbone.depth=2"], backbone="mini").backbone == {"name": "mini", "depth": 2}


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("training.stepps=7", 'did you mean "training.steps"'),
        ("metod=lora", 'did you mean "method"'),
        ("training.steps=many", "it wants a whole number"),
        ("training.steps=true", "it wants a whole number"),
        ("training", "is not key=value"),
        ("seed.x=1", "seed"),
    ],
)
def test_errors_say_what_was_meant(assignment, message):
    with pytest.raises(ValueError, match=message):
        load_config(None, [assignment])


def test_values_are_toml_or_text():
    assert [parse_value(text) for text in ("3", "0.5", "true", "[1, 2]", "lora", "none", '"3"')] == [
        3, 0.5, True, [1, 2], "lora", None, "3",
    ]  # fmt: skip


def test_only_what_changes_the_result_decides():
    plain = Config()
    assert plain.deciding() == Config(method={"name": "lora"}).deciding()
    assert plain.deciding() == Config(training=Training(checkpoint_s=1.0, workers=3)).deciding()
    assert plain.deciding() != Config(seed=1).deciding()
    assert plain.deciding() != Config(training=Training(steps=3)).deciding()


def wrong(*assignments, **values):
    """The message of a wrong config."""
    with pytest.raises(ValueError) as caught:
        load_config(None, assignments, **values)
    return str(caught.value)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("training.schedule=linear", 'training.schedule = "linear"; it wants cosine or constant'),
        ("training.precision=fp16", 'training.precision = "fp16"; it wants auto, float32 or bf16'),
        ("training.batch_size=0", "training.batch_size = 0; it wants a whole number (1 or more)"),
        ("training.accumulate=0", "training.accumulate = 0; it wants a whole number (1 or more)"),
        ("training.steps=-5", "training.steps = -5; it wants a whole number (1 or more)"),
        ("training.lr=nan", "training.lr = nan; it wants a number (0 or more) or none"),
        ("training.clip=inf", "training.clip = inf; it wants a number (0 or more)"),
        (
            "training.loss_weights={tmpo=2}",
            'unknown task of this run "training.loss_weights.tmpo"; did you mean "training',
        ),
        ("training.loss_weights={key=-1}", "training.loss_weights.key = -1.0; it wants a number (0 or more)"),
        ("training.augment=['pitch_shft']", 'training.augment[0] = "pitch_shft"; it wants pitch_shift, time_stretch'),
        ("training.head_first={steps='many'}", 'training.head_first.steps = "many"; it wants a whole number'),
        (
            "training.head_first={stps=3}",
            'unknown setting "training.head_first.stps"; did you mean "training.head_first',
        ),
        ("method.r=abc", 'method.r = "abc"; it wants a whole number (1 or more) or a table of these'),
        ("method.r=0", "method.r = 0; it wants a whole number (1 or more) or a table of these"),
        ('method={name="adapter", bottleneck=-1}', "method.bottleneck = -1; it wants a whole number (1 or more)"),
        (
            'method=["probe", {name="lora", dropout=1}]',
            "method[1].dropout = 1.0; it wants a number (0 or more and less",
        ),
        ("method.layers=0", "method.layers = 0; 0 is no layer; they count from 1"),
        ("method=lorra", 'unknown method "lorra"; did you mean "lora"'),
        ("method=lora+lora", "method lora is named twice"),
        ("method=[]", "no method is named; known: adalora, adapter"),
        ("task.label_smoothing=2", "task.label_smoothing = 2.0; it wants a number (0 to 1)"),
        ("backbone.dept=2", 'unknown setting "backbone.dept"; did you mean "backbone.depth"'),
        ("backbone=muq+mert", 'backbone = "muq+mert"; it wants a backbone\'s name'),
        ('backbone={name="musicfm", variant="fms"}', 'backbone.variant = "fms"; it wants msd or fma'),
        ("head.pool=max", 'head.pool = "max"; it wants mean, attention, mean_std or mean_max'),
        ("head.layers=2-1", 'head.layers = "2-1"; 2-1 runs backwards; write 1-2'),
        ("seed=-1", "seed = -1; it wants a whole number (0 or more)"),
    ],
)
def test_a_wrong_setting_is_found_before_anything_is_opened(assignment, message):
    given = [assignment] if "loss_weights" not in assignment else ["task=['key', 'tempo']", assignment]
    assert wrong(*given).startswith(message)


def test_an_error_names_the_file(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text("[training]\nsteps = 0\n")
    with pytest.raises(ValueError, match=r"run.toml: training.steps = 0; it wants a whole number"):
        load_config(path)


def test_layers_may_be_a_number_and_a_rate_zero():
    config = load_config(None, ["head.layers=6", "method.layers=6", "training.lr=0"])
    assert (config.head, config.training.lr) == ({"layers": "6"}, 0.0)


def test_a_generator_of_assignments_is_read_once():
    config = load_config(None, (text for text in ("method.r=4", "training.steps=7")))
    assert (config.method, config.training.steps) == ({"name": "lora", "r": 4}, 7)


def test_what_was_given_stays_as_it_was():
    table, values = {"name": "lora"}, {"training": {"steps": 3, "loss_weights": {"key": 1}}}
    first = load_config(None, ["method.r=4", "training.steps=5", "training.loss_weights.key=2"], method=table, **values)
    assert (table, values) == ({"name": "lora"}, {"training": {"steps": 3, "loss_weights": {"key": 1}}})
    assert (first.method, first.training.loss_weights) == ({"name": "lora", "r": 4}, {"key": 2.0})
    tasks, training = ["key"], Training()
    one, other = Config(task=tasks, training=training), Config(task=tasks, training=training)
    one.task.append("tempo")
    one.training.loss_weights["key"] = 3.0
    assert (tasks, other.task, other.training.loss_weights, training.loss_weights) == (["key"], ["key"], {}, {})
    assert Config().training is not Config().training


def test_states_of_random_crops_are_not_kept():
    for cache in ("waveform", "off"):
        assert load_config(None, ["training.crops=random", f"training.cache={cache}"]).training.crops == "random"
    with pytest.raises(ValueError, match=r'crops = "random" .* training\.cache = "float32"; set that to waveform'):
        load_config(None, ["training.crops=random"])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"after": [{"training": 5}]}, r"training = 5; it wants a table"),
        ({"after": [{"training": [{}]}]}, r"training = .*; it wants a table"),
        ({"data": {}}, "data = {} has no name"),
        ({"data": {"split": "paper"}}, "has no name"),
        ({"data": {"name": "demo", 1: 2}}, 'unknown setting "demo.1"'),
    ],
)
def test_what_is_no_table_or_has_no_name_is_told(values, message):
    with pytest.raises(ValueError, match=message):
        make_config(values)
