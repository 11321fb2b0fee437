"""What a LightGBM training leaves in the store, and what it must not change."""

from __future__ import annotations

import gc
import json
import pickle
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("lightgbm")

import lightgbm
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import autolog
from autolog.attribution import run_of_model
from autolog.entities import Run, RunStatus
from autolog.figures import decode_figure
from autolog.integrations import boosting_data
from autolog.predictions import find_prediction
from autolog.training import Training, silence

FEATURES, TARGETS = load_breast_cancer(return_X_y=True)
PARAMS = {"objective": "binary", "num_leaves": 5, "num_threads": 1, "seed": 7, "verbose": -1}


@pytest.fixture(autouse=True)
def enabled() -> Iterator[None]:
    with autolog.enable(strict=True):
        yield


def data(**arguments: Any) -> Any:
    return lightgbm.Dataset(FEATURES[:400], TARGETS[:400], **arguments)


def held_out(reference: Any) -> Any:
    return lightgbm.Dataset(FEATURES[400:], TARGETS[400:], reference=reference)


def recorded() -> list[Run]:
    assert autolog.flush(60)
    return autolog.search_runs(search_all_experiments=True, output_format="list", order_by=["start_time ASC"])


def only_run() -> Run:
    (run,) = recorded()
    return run


def series(run: Run, key: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in autolog.get_metric_history(run.info.run_id, key)]


def inputs(run: Run) -> dict[str, tuple[Any, str, dict[str, Any]]]:
    return {
        one.dataset.name: (one.dataset, one.tags[0].value, json.loads(one.dataset.profile or "{}"))
        for one in run.inputs.dataset_inputs
    }


# -- rounds ------------------------------------------------------------------------------------------------------------


def test_every_metric_of_every_round_is_a_point_at_its_round() -> None:
    history: dict[str, Any] = {}
    training = data()
    params = PARAMS | {"metric": ["binary_logloss", "auc"]}
    lightgbm.train(
        params,
        training,
        8,
        valid_sets=[training, held_out(training)],
        valid_names=["train", "val"],
        callbacks=[lightgbm.record_evaluation(history)],
    )
    run = only_run()
    for name in ("train", "val"):
        for metric in ("binary_logloss", "auc"):
            assert series(run, f"{name}-{metric}") == list(enumerate(history[name][metric])), (name, metric)
    assert run.info.run_name == "lightgbm.train(binary)"
    assert run.data.tags["mlflow.autologging"] == "lightgbm"


def test_the_place_in_a_ranking_is_spelt_out() -> None:
    ranking = lightgbm.Dataset(FEATURES[:400], TARGETS[:400], group=[40] * 10)
    params = PARAMS | {"objective": "lambdarank", "metric": "ndcg", "eval_at": [3]}
    lightgbm.train(params, ranking, 2, valid_sets=[ranking])
    run = only_run()
    assert [step for step, _ in series(run, "training-ndcg_at_3")] == [0, 1]
    assert inputs(run)["ranking"][2]["groups"] == 10


def test_rounds_are_in_the_store_while_it_trains() -> None:
    counts = []

    def look(env: Any) -> None:
        if env.iteration == 5:
            counts.append(only_run().data.summaries["training-binary_logloss"].count)

    training = data()
    lightgbm.train(PARAMS, training, 8, valid_sets=[training], callbacks=[look])
    assert counts == [6]
    assert only_run().data.summaries["training-binary_logloss"].count == 8


def test_an_interrupted_training_has_failed_and_keeps_its_rounds() -> None:
    def interrupt(env: Any) -> None:
        if env.iteration == 3:
            raise KeyboardInterrupt

    training = data()
    with pytest.raises(KeyboardInterrupt):
        lightgbm.train(PARAMS, training, 8, valid_sets=[training], callbacks=[interrupt])
    run = only_run()
    assert run.info.status is RunStatus.FAILED
    assert run.data.summaries["training-binary_logloss"].count == 4


def test_a_list_of_callbacks_used_twice_records_each_point_once() -> None:
    seen: list[int] = []
    history: dict[str, Any] = {}

    def look(env: Any) -> None:
        seen.append(env.iteration)

    callbacks = [look, lightgbm.record_evaluation(history)]
    before, params = list(callbacks), dict(PARAMS)
    for _ in range(2):
        training = data()
        lightgbm.train(params, training, 3, valid_sets=[training], callbacks=callbacks)
    assert callbacks == before
    assert params == PARAMS
    # What LightGBM leaves on a callback, it leaves without autolog too.
    assert look.__dict__ == {"order": -2}
    assert seen == [0, 1, 2] * 2
    assert [run.data.summaries["training-binary_logloss"].count for run in recorded()] == [3, 3]


# -- params ------------------------------------------------------------------------------------------------------------


def squared(predictions: Any, training: Any) -> tuple[Any, Any]:
    return predictions - training.get_label(), np.ones_like(predictions)


def bias(predictions: Any, evaluated: Any) -> tuple[str, float, bool]:
    return "bias", float(np.mean(predictions - evaluated.get_label())), False


def test_params_are_the_boosters_and_the_calls() -> None:
    lightgbm.train(PARAMS, data(), 3)
    expected = {key: str(value) for key, value in PARAMS.items()}
    assert only_run().data.params == expected | {"num_boost_round": "3", "keep_training_booster": "False"}


def test_a_custom_objective_and_metric_are_named_and_recorded() -> None:
    training = data()
    lightgbm.train(PARAMS | {"objective": squared, "metric": "None"}, training, 3, valid_sets=[training], feval=bias)
    run = only_run()
    assert run.data.params["objective"] == f"{__name__}.squared"
    assert run.data.params["feval"] == f"{__name__}.bias"
    assert [step for step, _ in series(run, "training-bias")] == [0, 1, 2]
    assert run.info.run_name == "lightgbm.train(squared)"


# -- early stopping and continued models -------------------------------------------------------------------------------


@pytest.mark.parametrize("patience", [3, 500])
def test_early_stopping_names_the_best_and_the_last_round_from_0(patience: int) -> None:
    history: dict[str, Any] = {}
    training = data()
    booster = lightgbm.train(
        PARAMS | {"learning_rate": 1.0, "metric": ["binary_logloss", "auc"]},
        training,
        60,
        valid_sets=[training, held_out(training)],
        callbacks=[
            lightgbm.early_stopping(patience, first_metric_only=True, verbose=False),
            lightgbm.record_evaluation(history),
        ],
    )
    metrics = only_run().data.metrics
    values = history["valid_1"]["binary_logloss"]
    assert metrics["best_iteration"] == booster.best_iteration - 1 == int(np.argmin(values))
    assert metrics["stopped_iteration"] == len(values) - 1
    assert (len(values) < 60) == (patience == 3)
    assert metrics["best_score"] == min(values) == booster.best_score["valid_1"]["binary_logloss"]


def test_a_continued_training_counts_on_and_names_the_former_run() -> None:
    training = data(free_raw_data=False)
    former = lightgbm.train(PARAMS, training, 4)
    later = lightgbm.train(
        PARAMS | {"early_stopping_round": 2, "learning_rate": 0.5},
        data(free_raw_data=False),
        60,
        valid_sets=[held_out(training)],
        init_model=former,
    )
    first, second = recorded()
    assert second.data.tags["autolog.continued_from"] == first.info.run_id
    steps = [step for step, _ in series(second, "valid_0-binary_logloss")]
    assert steps == list(range(4, steps[-1] + 1))
    assert second.data.metrics["best_iteration"] == later.best_iteration - 1
    assert second.data.metrics["stopped_iteration"] == steps[-1]
    values = dict(series(second, "valid_0-binary_logloss"))
    assert second.data.metrics["best_score"] == values[later.best_iteration - 1]


def test_a_model_file_that_is_continued_is_named_with_its_digest(tmp_path: Path) -> None:
    path = tmp_path / "model.txt"
    lightgbm.train(PARAMS, data(), 3).save_model(path)
    for model in (path, str(path)):
        training = data(free_raw_data=False)
        lightgbm.train(PARAMS, training, 2, valid_sets=[training], init_model=model)
    _, *later = recorded()
    for run in later:
        assert run.data.tags["autolog.continued_from.path"] == str(path)
        assert [step for step, _ in series(run, "training-binary_logloss")] == [3, 4]
    assert len({run.data.tags["autolog.continued_from.digest"] for run in later}) == 1


# -- cross-validation --------------------------------------------------------------------------------------------------


def test_a_cross_validation_has_mean_deviation_and_folds_of_every_round() -> None:
    results = lightgbm.cv(PARAMS, data(), 5, nfold=3, eval_train_metric=True)
    run = only_run()
    for name in ("train", "valid"):
        for kind, theirs in (("mean", "mean"), ("std", "stdv")):
            expected = results[f"{name} binary_logloss-{theirs}"]
            assert series(run, f"{name}-binary_logloss-{kind}") == list(enumerate(expected))
        folds = [[value for _, value in series(run, f"{name}-binary_logloss-fold_{fold}")] for fold in range(3)]
        assert np.mean(folds, axis=0) == pytest.approx(results[f"{name} binary_logloss-mean"])
    assert run.data.params["nfold"] == "3"
    assert run.info.run_name == "lightgbm.cv(binary)"


def test_a_cross_validation_that_stops_early_says_where() -> None:
    params = PARAMS | {"learning_rate": 1.0, "early_stopping_round": 2}
    results = lightgbm.cv(params, data(), 60, nfold=3)
    metrics = only_run().data.metrics
    means = results["valid binary_logloss-mean"]
    assert metrics["best_iteration"] == len(means) - 1
    assert metrics["stopped_iteration"] == metrics["best_iteration"] + 2
    assert metrics["best_score"] == means[-1]


# -- models ------------------------------------------------------------------------------------------------------------


def importances(run: Run, kind: str) -> dict[str, float]:
    path = autolog.artifacts.download_artifacts(
        run_id=run.info.run_id, artifact_path=f"figures/feature_importance_{kind}.json"
    )
    figure = decode_figure(Path(path).read_bytes())
    assert figure.data.type == kind
    return dict(zip(figure.data.features, figure.data.values, strict=True))


def test_importances_of_every_type_trees_and_size_are_recorded() -> None:
    booster = lightgbm.train(PARAMS, data(), 5)
    run = only_run()
    for kind in ("split", "gain"):
        expected = dict(zip(booster.feature_name(), booster.feature_importance(kind), strict=True))
        assert importances(run, kind) == pytest.approx(expected)
    assert run.data.metrics["num_trees"] == 5
    # What LightGBM writes of a model that it has read again differs in its params alone.
    assert run.data.metrics["model_size"] == pytest.approx(len(booster.model_to_string()), rel=0.2)


def test_a_booster_belongs_to_its_run() -> None:
    booster = lightgbm.train(PARAMS, data(), 2)
    run = run_of_model(booster)
    assert run is not None
    assert run.run_id == only_run().info.run_id


def test_what_a_booster_predicts_belongs_to_its_run() -> None:
    booster = lightgbm.train(PARAMS, data(), 2)
    features = FEATURES[400:]
    found = find_prediction(booster.predict(features) > 0.5)
    assert found is not None
    assert found.run is run_of_model(booster)
    assert found.data.name == "features"


def test_models_and_cross_validations_are_the_same_without_autolog() -> None:
    def compute() -> tuple[Any, ...]:
        np.random.seed(5)
        history: dict[str, Any] = {}
        training = data()
        stopping = lightgbm.early_stopping(3, verbose=False)
        callbacks = [stopping, lightgbm.record_evaluation(history)]
        params = PARAMS | {"bagging_fraction": 0.5, "bagging_freq": 1}
        booster = lightgbm.train(params, training, 30, valid_sets=[held_out(training)], callbacks=callbacks)
        results = lightgbm.cv(params, data(), 4, nfold=3)
        state = np.random.get_state()[1].tolist()  # type: ignore[union-attr]
        kept = booster.best_iteration, booster.best_score, booster.params, stopping.best_iter, training.data is None
        return booster.model_to_string(), pickle.dumps(booster), history, dict(results), state, kept

    with_it = compute()
    autolog.disable()
    assert compute() == with_it


# -- data --------------------------------------------------------------------------------------------------------------


def test_the_data_sets_are_described_by_what_they_were_made_of() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(FEATURES[:, :3], columns=["a", "b", "c"])
    frame["d"] = pandas.Categorical(["x", "y"] * 284 + ["x"])
    patients = lightgbm.Dataset(frame, TARGETS, weight=np.ones(569), categorical_feature=["d"])
    lightgbm.train(PARAMS, patients, 2, valid_sets=[patients, patients.create_valid(frame, TARGETS)])
    found = inputs(only_run())
    assert {name: context for name, (_, context, _) in found.items()} == {"patients": "train", "valid_1": "eval"}
    dataset, _, profile = found["patients"]
    assert [column["name"] for column in json.loads(dataset.schema)["mlflow_colspec"]] == ["a", "b", "c", "d"]
    assert (profile["label"], profile["weight"], profile["categorical_features"]) == (True, True, 1)
    assert profile["num_rows"] == 569
    assert not found["valid_1"][2]["weight"]


def test_a_data_set_is_neither_constructed_nor_kept_for_its_description() -> None:
    lazy = data()
    before = boosting_data.describe_dataset(lazy, "lazy")
    assert vars(lazy)["_handle"] is None
    lazy.construct()
    assert vars(lazy)["data"] is None
    after = boosting_data.describe_dataset(lazy, "lazy")
    profile = json.loads(after.profile or "")
    assert (profile["features_shape"], profile["features_digest_of"]) == ([400, 30], "nothing")
    assert before.digest == boosting_data.describe_dataset(data(), "lazy").digest != after.digest


def test_parts_and_files_of_data_are_described(tmp_path: Path) -> None:
    path = tmp_path / "data.csv"
    np.savetxt(path, np.column_stack([TARGETS, FEATURES]), delimiter=",")
    stored = lightgbm.Dataset(path)
    lightgbm.train(PARAMS, stored, 2)
    part = data(free_raw_data=False).subset(range(200))
    lightgbm.train(PARAMS, part, 2)
    first, second = recorded()
    dataset, _, _ = inputs(first)["stored"]
    assert (dataset.source_type, json.loads(dataset.source)) == ("local", {"uri": str(path)})
    assert inputs(second)["part"][2]["num_rows"] == 200


def test_no_data_set_and_no_booster_is_kept_alive() -> None:
    def train() -> list[weakref.ref[Any]]:
        training = data()
        booster = lightgbm.train(PARAMS, training, 2, valid_sets=[training])
        return [weakref.ref(training), weakref.ref(booster)]

    references = train()
    gc.collect()
    assert [reference() for reference in references] == [None, None]


# -- the scikit-learn API ----------------------------------------------------------------------------------------------


def classifier(**params: Any) -> Any:
    return lightgbm.LGBMClassifier(n_estimators=4, num_leaves=5, n_jobs=1, verbose=-1, **params)


def test_an_estimator_is_one_run_with_both_views() -> None:
    X, y = FEATURES[:400], TARGETS[:400]
    model = make_pipeline(StandardScaler().set_output(transform="pandas"), classifier())
    model.fit(X, y, lgbmclassifier__eval_X=FEATURES[400:], lgbmclassifier__eval_y=TARGETS[400:])
    run = only_run()
    assert run.data.tags["mlflow.autologging"] == "sklearn"
    assert run.data.params["lgbmclassifier__num_leaves"] == run.data.params["num_leaves"] == "5"
    assert run.data.params["num_boost_round"] == "4"
    assert [step for step, _ in series(run, "valid_0-binary_logloss")] == [0, 1, 2, 3]
    assert run.data.params["lgbmclassifier"] == "LGBMClassifier()"
    assert {name: context for name, (_, context, _) in inputs(run).items()} == {"X": "train", "valid_0": "eval"}
    found = run_of_model(model[-1].booster_)
    assert found is not None
    assert found.run_id == run.info.run_id


def mean_error(targets: Any, predictions: Any) -> tuple[str, float, bool]:
    return "mean_error", float(np.mean(predictions - targets)), False


def least_squares(targets: Any, predictions: Any) -> tuple[Any, Any]:
    return predictions - targets, np.ones_like(predictions)


def test_functions_that_the_estimator_wraps_have_their_own_names() -> None:
    model = lightgbm.LGBMRegressor(objective=least_squares, n_estimators=2, n_jobs=1, verbose=-1)
    model.fit(FEATURES, TARGETS, eval_X=FEATURES, eval_y=TARGETS, eval_metric=mean_error)
    params = only_run().data.params
    assert params["objective"] == f"{__name__}.least_squares"
    assert params["feval"] == f"[{__name__}.mean_error]"


def test_without_the_scikit_learn_integration_train_owns_the_run() -> None:
    autolog.disable()
    autolog.enable(strict=True, exclude=["sklearn"])
    classifier().fit(FEATURES, TARGETS, eval_X=FEATURES, eval_y=TARGETS)
    run = only_run()
    assert run.data.tags["mlflow.autologging"] == "lightgbm"
    assert run.info.run_name == "lightgbm.train(binary)"


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_search_is_one_run_with_the_series_of_the_best_estimator(n_jobs: int) -> None:
    import joblib

    with joblib.parallel_backend("threading"):
        search = GridSearchCV(classifier(), {"max_depth": [1, 3]}, cv=2, n_jobs=n_jobs)
        search.fit(FEATURES, TARGETS, eval_X=FEATURES, eval_y=TARGETS)
    (run,) = [run for run in recorded() if "mlflow.parentRunId" not in run.data.tags]
    assert run.info.run_name == "GridSearchCV(LGBMClassifier)"
    assert [step for step, _ in series(run, "valid_0-binary_logloss")] == [0, 1, 2, 3]
    assert run.data.params["max_depth"] == str(search.best_params_["max_depth"])


def test_what_is_silenced_or_trained_inside_of_nothing_recorded_adds_nothing() -> None:
    with Training():
        lightgbm.train(PARAMS, data(), 2)
    with autolog.start_run() as run, Training() as training:
        training.begin("outer", "test", {})
        with silence():
            lightgbm.train(PARAMS, data(), 2)
    assert run.data.params == {}
    assert len(recorded()) == 1
