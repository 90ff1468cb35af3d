"""Artifacts and runs to start from or to learn from: refused if they do not fit, or not finished."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ml.corpus.dataset import Example
from ml.training import cross_fitting
from ml.training.trained_models import (
    check_risk_types,
    groups_that_fit,
    mean_network,
    open_models,
    starting_network,
)
from service.config.settings import ROOT
from service.errors import ConfigError
from service.nlp.taxonomy import Taxonomy, built_in
from tests.ml.runs import with_base, write_finished_run


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    """Finished runs of two shapes, none of them trained."""
    folder = tmp_path_factory.mktemp("runs")
    shapes = {"a": {"seed": 1}, "b": {"seed": 2}, "deep": {"n_layers": 3}}
    return {name: write_finished_run(folder / name, **shape) for name, shape in shapes.items()}


def test_start_is_the_mean_of_its_models(runs):
    both = with_base(runs["a"] / "base", start=[str(runs["a"]), str(runs["b"])])
    mean = starting_network(both).state()
    each = [starting_network(with_base(runs[n] / "base")).state() for n in ("a", "b")]
    for name, value in mean.items():
        assert torch.allclose(value, (each[0][name] + each[1][name]) / 2, atol=1e-6)


def test_start_of_another_shape_names_the_difference_and_the_remedy(runs):
    other = with_base(runs["a"] / "base", start=[str(runs["deep"])])
    with pytest.raises(ConfigError, match=r"its n_layers is 3, not 2.*leave `start` empty"):
        starting_network(other)


def test_start_with_another_pooling_is_refused(runs):
    other = with_base(runs["a"] / "base", start=[str(runs["a"])], pooling="mean")
    with pytest.raises(ConfigError, match="its pooling is first, not mean"):
        starting_network(other)


@pytest.fixture(scope="module")
def ordered_otherwise() -> Taxonomy:
    """The built-in risk types, those of the last category first."""
    plain = built_in()
    return replace(plain, categories=plain.categories[::-1])


def test_start_with_risk_types_in_another_order_names_the_first_difference(
    ordered_otherwise, tmp_path
):
    run = write_finished_run(tmp_path, taxonomy=ordered_otherwise)
    ours, theirs = (next(iter(t.risk_types)) for t in (built_in(), ordered_otherwise))
    with pytest.raises(ConfigError, match=rf"\[base\] start.*another order, {theirs} in .* {ours}"):
        starting_network(with_base(run / "base", start=[str(run)]))


def test_teacher_with_other_risk_types_names_those_that_differ(tmp_path):
    plain = built_in()
    run = write_finished_run(tmp_path, taxonomy=replace(plain, categories=plain.categories[1:]))
    (model,) = open_models([str(run)])
    missing = plain.categories[0].risk_types[-1].key
    with pytest.raises(ConfigError, match=rf"teachers: .* it lacks .*{missing}\."):
        check_risk_types(model, tuple(plain.risk_types), key="[train] teachers")


def test_run_of_an_earlier_version_counts_its_risk_types(tmp_path):
    run = write_finished_run(tmp_path)
    (run / "taxonomy.json").unlink()
    (model,) = open_models([str(run)])
    check_risk_types(model, tuple(built_in().risk_types), key="[base] start")
    with pytest.raises(ConfigError, match="it has 37, not 2"):
        check_risk_types(model, ("a", "b"), key="[base] start")


def test_models_of_two_shapes_have_a_mean_each(runs):
    models = open_models([str(runs[name]) for name in ("a", "deep", "b")])
    groups = groups_that_fit(models)
    assert [[m.folder.name for m in group] for group in groups] == [["a", "b"], ["deep"]]
    assert mean_network(groups[0], dropout=0.0).config.n_layers == 2


def test_start_from_an_untrained_run_names_its_command():
    run = "runs/riskscan-accurate"
    if (ROOT / run).exists():
        pytest.skip("this working tree has that run")
    with pytest.raises(ConfigError, match=r"-m ml train ml/configs/riskscan-accurate\.toml"):
        open_models([run])


def test_real_sentence_logits_without_real_sentences_are_empty():
    assert (
        cross_fitting.real_sentence_logits(["runs/none"], [Example("A.", (), "a", composed=True)])
        == {}
    )


def test_real_sentence_logits_without_cross_fitted_scores_are_refused():
    with pytest.raises(ConfigError, match="none of the real sentences"):
        cross_fitting.real_sentence_logits(["runs/none"], [Example("A.", (), "a")])
