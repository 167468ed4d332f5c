"""Config: TOML and key=value, strict, the same run always under the same id."""

import pytest

from sordino.config import Config, Training, build, load_config, parse_value, specs


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
        ("training.stepps=7", 'did you mean "steps"'),
        ("metod=lora", 'did you mean "method"'),
        ("training.steps=many", "it wants int"),
        ("training.steps=true", "it wants int"),
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


def test_run_id_depends_on_what_changes_the_result_only():
    plain = Config()
    assert plain.run_id() == Config(method={"name": "lora"}).run_id()
    assert plain.run_id() == Config(training=Training(checkpoint_s=1.0, workers=3)).run_id()
    assert plain.run_id() != Config(seed=1).run_id()
    assert plain.run_id() != Config(training=Training(steps=3)).run_id()


def test_build_names_the_place():
    with pytest.raises(ValueError, match=r"unknown key in study.toml.training"):
        build(Config, {"training": {"step": 1}}, "study.toml")
