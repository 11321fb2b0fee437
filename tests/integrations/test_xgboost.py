"""What an XGBoost training leaves in the store, and what it must not change."""

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

pytest.importorskip("xgboost")

import xgboost
from sklearn.datasets import load_breast_cancer
from sklearn.model_selection import GridSearchCV
from sklearn.multioutput import MultiOutputClassifier
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
PARAMS = {"objective": "binary:logistic", "max_depth": 2, "nthread": 1, "seed": 7}


@pytest.fixture(autouse=True)
def enabled() -> Iterator[None]:
    with autolog.enable(strict=True):
        yield


@pytest.fixture
def matrix() -> Any:
    return xgboost.DMatrix(FEATURES[:400], TARGETS[:400])


@pytest.fixture
def held_out() -> Any:
    return xgboost.DMatrix(FEATURES[400:], TARGETS[400:])


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


def train(*args: Any, **kwargs: Any) -> Any:
    return xgboost.train(*args, **{"verbose_eval": False, **kwargs})


class Doing(xgboost.callback.TrainingCallback):
    """Does something after a round."""

    def __init__(self, action: Any) -> None:
        super().__init__()
        self.action = action

    def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
        self.action(epoch)
        return False


# -- rounds ------------------------------------------------------------------------------------------------------------


def test_every_metric_of_every_round_is_a_point_at_its_round(matrix: Any, held_out: Any) -> None:
    history: dict[str, Any] = {}
    params = PARAMS | {"eval_metric": ["logloss", "auc", "error@0.7"]}
    train(params, matrix, 8, evals=[(matrix, "train"), (held_out, "val")], evals_result=history)
    run = only_run()
    for data in ("train", "val"):
        for metric in ("logloss", "auc", "error@0.7"):
            points = series(run, f"{data}-{metric.replace('@', '_at_')}")
            assert points == list(enumerate(history[data][metric])), (data, metric)
    assert run.info.run_name == "xgboost.train(binary:logistic)"
    assert run.data.tags["mlflow.autologging"] == "xgboost"


def test_rounds_are_in_the_store_while_it_trains(matrix: Any) -> None:
    counts = []

    def look(epoch: int) -> None:
        if epoch == 5:
            counts.append(only_run().data.summaries["train-logloss"].count)

    train(PARAMS, matrix, 8, evals=[(matrix, "train")], callbacks=[Doing(look)])
    assert counts == [6]
    assert only_run().data.summaries["train-logloss"].count == 8


def test_an_interrupted_training_has_failed_and_keeps_its_rounds(matrix: Any) -> None:
    def interrupt(epoch: int) -> None:
        if epoch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(PARAMS, matrix, 8, evals=[(matrix, "train")], callbacks=[Doing(interrupt)])
    run = only_run()
    assert run.info.status is RunStatus.FAILED
    assert run.data.summaries["train-logloss"].count == 4


def test_a_list_of_callbacks_used_twice_records_each_point_once(matrix: Any) -> None:
    seen: list[int] = []
    callbacks = [Doing(seen.append)]
    before = list(callbacks)
    params, history = dict(PARAMS), {}
    evals = [(matrix, "train")]
    for _ in range(2):
        train(params, matrix, 3, evals=evals, callbacks=callbacks, evals_result=history)
    assert callbacks == before
    assert params == PARAMS
    assert evals == [(matrix, "train")]
    assert list(history) == ["train"]
    assert seen == [0, 1, 2] * 2
    assert [run.data.summaries["train-logloss"].count for run in recorded()] == [3, 3]


def test_a_callback_that_trains_adds_to_the_run_under_a_number(matrix: Any) -> None:
    def train_another(epoch: int) -> None:
        if epoch == 1:
            train(PARAMS | {"max_depth": 1}, matrix, 2, evals=[(matrix, "train")])

    train(PARAMS, matrix, 4, evals=[(matrix, "train")], callbacks=[Doing(train_another)])
    run = only_run()
    assert run.data.summaries["train-logloss"].count == 4
    assert run.data.summaries["train_2.train-logloss"].count == 2
    assert (run.data.params["max_depth"], run.data.params["train_2.max_depth"]) == ("2", "1")


# -- params ------------------------------------------------------------------------------------------------------------


def squared(predictions: Any, data: Any) -> tuple[Any, Any]:
    return predictions - data.get_label(), np.ones_like(predictions)


def bias(predictions: Any, data: Any) -> tuple[str, float]:
    return "bias", float(np.mean(predictions - data.get_label()))


def test_params_are_the_boosters_and_the_calls(matrix: Any) -> None:
    train(PARAMS, matrix, 3)
    expected = {key: str(value) for key, value in PARAMS.items()} | {
        "num_boost_round": "3",
        "maximize": "None",
        "early_stopping_rounds": "None",
        "verbose_eval": "False",
    }
    assert only_run().data.params == expected


def test_a_custom_objective_and_metric_are_named_and_recorded(matrix: Any) -> None:
    train({"nthread": 1}, matrix, 3, evals=[(matrix, "train")], obj=squared, custom_metric=bias)
    run = only_run()
    assert run.data.params["obj"] == f"{__name__}.squared"
    assert run.data.params["custom_metric"] == f"{__name__}.bias"
    assert [step for step, _ in series(run, "train-bias")] == [0, 1, 2]
    assert run.info.run_name == "xgboost.train(squared)"


def test_arguments_are_read_as_well_where_they_come_by_position(matrix: Any) -> None:
    with pytest.warns(FutureWarning, match="as keyword args"):
        xgboost.train(PARAMS, matrix, 2, [(matrix, "watched")])
    run = only_run()
    assert run.data.params["max_depth"] == "2"
    assert [step for step, _ in series(run, "watched-logloss")] == [0, 1]


def test_a_list_of_pairs_is_params_too(matrix: Any) -> None:
    train([*PARAMS.items(), ("eval_metric", "auc"), ("eval_metric", "error")], matrix, 2, evals=[(matrix, "train")])
    run = only_run()
    assert run.data.params["eval_metric"] == "['auc', 'error']"
    assert {"train-auc", "train-error"} <= set(run.data.metrics)


# -- early stopping and continued models -------------------------------------------------------------------------------


def test_early_stopping_names_the_best_and_the_last_round_from_0(matrix: Any, held_out: Any) -> None:
    history: dict[str, Any] = {}
    params = PARAMS | {"eta": 1.0}
    booster = train(params, matrix, 200, evals=[(held_out, "val")], early_stopping_rounds=3, evals_result=history)
    metrics = only_run().data.metrics
    values = history["val"]["logloss"]
    assert metrics["best_iteration"] == booster.best_iteration == int(np.argmin(values))
    assert metrics["stopped_iteration"] == len(values) - 1 == booster.num_boosted_rounds() - 1
    assert metrics["best_score"] == booster.best_score
    assert len(series(only_run(), "val-logloss")) == len(values) < 200


def test_a_continued_training_counts_on_and_names_the_former_run(matrix: Any, held_out: Any) -> None:
    former = train(PARAMS, matrix, 4, evals=[(held_out, "val")])
    later = train(PARAMS, matrix, 60, evals=[(held_out, "val")], xgb_model=former, early_stopping_rounds=2)
    first, second = recorded()
    assert second.data.tags["autolog.continued_from"] == first.info.run_id
    steps = [step for step, _ in series(second, "val-logloss")]
    assert steps == list(range(4, later.num_boosted_rounds()))
    assert second.data.metrics["best_iteration"] == later.best_iteration
    assert second.data.metrics["stopped_iteration"] == steps[-1]


def test_what_a_former_model_stopped_at_is_not_the_later_ones(matrix: Any, held_out: Any) -> None:
    former = train(PARAMS, matrix, 9, evals=[(held_out, "val")], early_stopping_rounds=5)
    train(PARAMS, matrix, 2, xgb_model=former)
    first, second = recorded()
    assert "best_iteration" in first.data.metrics
    assert "best_iteration" not in second.data.metrics


def test_a_model_of_bytes_that_is_continued_has_a_digest(matrix: Any) -> None:
    content = train(PARAMS, matrix, 3).save_raw()
    train(PARAMS, matrix, 2, evals=[(matrix, "train")], xgb_model=content)
    _, later = recorded()
    assert later.data.tags["autolog.continued_from.digest"]
    assert [step for step, _ in series(later, "train-logloss")] == [3, 4]


def test_a_model_file_that_is_continued_is_named_with_its_digest(matrix: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.ubj"
    train(PARAMS, matrix, 3).save_model(path)
    for model in (path, str(path), xgboost.Booster(model_file=path)):
        train(PARAMS, matrix, 2, evals=[(matrix, "train")], xgb_model=model)
    _, *later, unknown = recorded()
    for run in later:
        assert run.data.tags["autolog.continued_from.path"] == str(path)
        assert [step for step, _ in series(run, "train-logloss")] == [3, 4]
    assert len({run.data.tags["autolog.continued_from.digest"] for run in later}) == 1
    assert not any(key.startswith("autolog.continued_from") for key in unknown.data.tags)


# -- cross-validation --------------------------------------------------------------------------------------------------


def test_a_cross_validation_has_mean_deviation_and_folds_of_every_round(matrix: Any) -> None:
    table = xgboost.cv(PARAMS, matrix, 5, nfold=3, metrics=["logloss"], seed=3)
    run = only_run()
    for data in ("train", "test"):
        for kind in ("mean", "std"):
            assert series(run, f"{data}-logloss-{kind}") == list(enumerate(table[f"{data}-logloss-{kind}"]))
        folds = np.array([[value for _, value in series(run, f"{data}-logloss-fold_{fold}")] for fold in range(3)])
        assert folds.mean(axis=0) == pytest.approx(table[f"{data}-logloss-mean"].to_numpy())
    assert run.data.params["nfold"] == "3"
    assert run.info.run_name == "xgboost.cv(binary:logistic)"


def test_a_cross_validation_that_stops_early_says_where(matrix: Any) -> None:
    table = xgboost.cv(PARAMS | {"eta": 1.0}, matrix, 200, early_stopping_rounds=2, as_pandas=False)
    run = only_run()
    assert run.data.metrics["best_iteration"] == len(table["test-logloss-mean"]) - 1
    assert run.data.metrics["stopped_iteration"] == run.data.metrics["best_iteration"] + 2
    assert run.data.metrics["best_score"] == pytest.approx(min(table["test-logloss-mean"]))


# -- models ------------------------------------------------------------------------------------------------------------


def importances(run: Run, kind: str) -> dict[str, float]:
    path = autolog.artifacts.download_artifacts(
        run_id=run.info.run_id, artifact_path=f"figures/feature_importance_{kind}.json"
    )
    figure = decode_figure(Path(path).read_bytes())
    assert figure.data.type == kind
    return dict(zip(figure.data.features, figure.data.values, strict=True))


def test_importances_of_every_type_trees_and_size_are_recorded(matrix: Any) -> None:
    booster = train(PARAMS | {"num_parallel_tree": 2}, matrix, 5)
    run = only_run()
    for kind in ("weight", "gain", "cover", "total_gain", "total_cover"):
        assert importances(run, kind) == booster.get_score(importance_type=kind)
    assert run.data.metrics["num_trees"] == 10
    assert run.data.metrics["model_size"] == len(booster.save_raw("ubj"))


def test_a_linear_model_has_weights_and_no_trees(matrix: Any) -> None:
    booster = train({"booster": "gblinear", "nthread": 1}, matrix, 3)
    run = only_run()
    assert importances(run, "weight") == booster.get_score(importance_type="weight")
    assert "num_trees" not in run.data.metrics


def test_a_booster_belongs_to_its_run(matrix: Any) -> None:
    booster = train(PARAMS, matrix, 2)
    run = run_of_model(booster)
    assert run is not None
    assert run.run_id == only_run().info.run_id


def test_what_a_booster_predicts_belongs_to_its_run(matrix: Any, held_out: Any) -> None:
    booster = train(PARAMS, matrix, 2)
    for predicted in (booster.predict(held_out), booster.inplace_predict(FEATURES[:50])):
        found = find_prediction(predicted > 0.5)
        assert found is not None
        assert found.run is run_of_model(booster)
    assert find_prediction(booster.predict(held_out)).data.name == "held_out"  # type: ignore[union-attr]


def test_models_and_cross_validations_are_the_same_without_autolog(matrix: Any, held_out: Any) -> None:
    def compute() -> tuple[Any, ...]:
        np.random.seed(5)
        history: dict[str, Any] = {}
        callbacks = [xgboost.callback.EarlyStopping(rounds=3, save_best=True), Doing(lambda _: None)]
        arguments = {"evals": [(held_out, "val")], "callbacks": callbacks, "evals_result": history}
        booster = train(PARAMS | {"subsample": 0.5}, matrix, 30, **arguments)
        table = xgboost.cv(PARAMS | {"subsample": 0.5}, matrix, 4, nfold=3)
        state = np.random.get_state()[1].tolist()  # type: ignore[union-attr]
        bytes_ = pickle.dumps(booster), bytes(booster.save_raw()), booster.save_config()
        return *bytes_, history, table.to_csv(), booster.attributes(), state, vars(callbacks[0])["best_scores"]

    with_it = compute()
    autolog.disable()
    assert compute() == with_it


# -- data --------------------------------------------------------------------------------------------------------------


def test_the_matrices_are_described_with_names_and_what_they_hold(held_out: Any) -> None:
    names = [f"column {place}" for place in range(30)]
    weights = np.linspace(0.5, 1, len(TARGETS))
    patients = xgboost.DMatrix(FEATURES, TARGETS, weight=weights, feature_names=names)
    held_out.feature_names = names
    xgboost.train(PARAMS, patients, 2, evals=[(patients, "train"), (held_out, "val")], verbose_eval=False)
    found = inputs(only_run())
    assert {name: context for name, (_, context, _) in found.items()} == {"patients": "train", "val": "eval"}
    dataset, _, profile = found["patients"]
    assert profile["features_shape"] == [569, 30]
    assert (profile["label"], profile["weight"], profile["groups"]) == (True, True, 0)
    assert (found["val"][2]["weight"], found["val"][2]["num_rows"]) == (False, 169)
    assert [column["name"] for column in json.loads(dataset.schema)["mlflow_colspec"]] == names


def test_the_digest_is_of_the_values_the_labels_and_the_weights() -> None:
    def digest(features: Any, labels: Any, weight: Any = None, kind: Any = xgboost.DMatrix) -> str:
        return boosting_data.describe_matrix(kind(features, labels, weight=weight), "data").digest

    base = digest(FEATURES, TARGETS)
    assert base == digest(FEATURES.astype("f4"), TARGETS.tolist())
    others = [
        digest(FEATURES + 1, TARGETS),
        digest(FEATURES, 1 - TARGETS),
        digest(FEATURES, TARGETS, np.ones(569)),
        digest(FEATURES, TARGETS, kind=xgboost.QuantileDMatrix),
    ]
    assert len({base, *others}) == 5


def test_of_large_matrices_rows_spread_evenly_are_read() -> None:
    values = np.random.default_rng(0).normal(size=(60_000, 8)).astype("f4")
    changed = values.copy()
    changed[-1] += 1
    described = [boosting_data.describe_matrix(xgboost.DMatrix(one, one[:, 0]), "data") for one in (values, changed)]
    assert described[0].digest != described[1].digest
    assert "of 60000 rows" in json.loads(described[0].profile or "")["features_digest_of"]
    quantile = boosting_data.describe_matrix(xgboost.QuantileDMatrix(values, values[:, 0]), "data")
    assert json.loads(quantile.profile or "")["features_digest_of"] == "nothing"


def test_categories_and_ranking_groups_are_told() -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"size": [1.0, 2, 3, 4] * 5, "colour": pandas.Categorical(["red", "blue"] * 10)})
    queries = np.repeat(np.arange(5), 4)
    ranking = xgboost.DMatrix(frame, np.arange(20) % 3, qid=queries, enable_categorical=True)
    xgboost.train({"objective": "rank:ndcg", "nthread": 1}, ranking, 2, evals=[(ranking, "train")], verbose_eval=False)
    run = only_run()
    dataset, _, profile = inputs(run)["ranking"]
    assert (profile["groups"], profile["categorical_features"]) == (5, 1)
    assert [column["type"] for column in json.loads(dataset.schema)["mlflow_colspec"]] == ["double", "string"]
    assert "train-ndcg_at_32" in run.data.metrics


def test_no_matrix_and_no_booster_is_kept_alive() -> None:
    matrix = xgboost.DMatrix(FEATURES, TARGETS)
    booster = train(PARAMS, matrix, 2, evals=[(matrix, "train")])
    references = [weakref.ref(matrix), weakref.ref(booster)]
    del matrix, booster
    gc.collect()
    assert [reference() for reference in references] == [None, None]


def test_nothing_is_described_where_data_sets_are_not_wanted(matrix: Any) -> None:
    autolog.enable(strict=True, log_datasets=False)
    train(PARAMS, matrix, 2, evals=[(matrix, "train")])
    assert only_run().inputs.dataset_inputs == ()


# -- the scikit-learn API ----------------------------------------------------------------------------------------------


def classifier(**params: Any) -> Any:
    return xgboost.XGBClassifier(n_estimators=4, max_depth=2, n_jobs=1, **params)


def test_an_estimator_is_one_run_with_both_views() -> None:
    X, X_val, y, y_val = FEATURES[:400], FEATURES[400:], TARGETS[:400], TARGETS[400:]
    model = make_pipeline(StandardScaler(), classifier())
    model.fit(X, y, xgbclassifier__eval_set=[(X, y), (X_val, y_val)], xgbclassifier__verbose=False)
    run = only_run()
    assert run.data.tags["mlflow.autologging"] == "sklearn"
    assert run.data.params["xgbclassifier__max_depth"] == run.data.params["max_depth"] == "2"
    assert run.data.params["num_boost_round"] == "4"
    assert [step for step, _ in series(run, "validation_1-logloss")] == [0, 1, 2, 3]
    assert run.data.metrics["training_accuracy_score"] > 0.9
    assert {name: context for name, (_, context, _) in inputs(run).items()} == {
        "X": "train",
        "validation_0": "eval",
        "validation_1": "eval",
    }
    found = run_of_model(model[-1].get_booster())
    assert found is not None
    assert found.run_id == run.info.run_id


def test_a_param_that_the_estimator_has_with_another_value_keeps_both() -> None:
    def objective(targets: Any, predictions: Any) -> tuple[Any, Any]:
        return predictions - targets, np.ones_like(predictions)

    xgboost.XGBRegressor(objective=objective, n_estimators=2, n_jobs=1).fit(FEATURES, TARGETS)
    params = only_run().data.params
    name = f"{__name__}.{objective.__qualname__}"
    assert (params["objective"], params["obj"]) == (name, name)
    assert params["train.objective"] == "reg:squarederror"


def test_without_the_scikit_learn_integration_train_owns_the_run() -> None:
    autolog.disable()
    autolog.enable(strict=True, exclude=["sklearn"])
    classifier(early_stopping_rounds=2).fit(FEATURES, TARGETS, eval_set=[(FEATURES, TARGETS)], verbose=False)
    run = only_run()
    assert run.data.tags["mlflow.autologging"] == "xgboost"
    assert run.info.run_name == "xgboost.train(binary:logistic)"
    assert run.data.metrics["best_iteration"] == 3


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_the_members_of_an_ensemble_log_nothing_that_could_be_mixed_up(n_jobs: int) -> None:
    import joblib

    targets = np.stack([TARGETS, 1 - TARGETS, TARGETS], axis=1)
    with joblib.parallel_backend("threading"):
        MultiOutputClassifier(classifier(), n_jobs=n_jobs).fit(
            FEATURES, targets, eval_set=[(FEATURES, TARGETS)], verbose=False
        )
    run = only_run()
    assert not any("logloss" in key for key in run.data.metrics)
    assert run.data.params["estimator__max_depth"] == "2"


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_a_search_is_one_run_with_the_series_of_the_best_estimator(n_jobs: int) -> None:
    import joblib

    with joblib.parallel_backend("threading"):
        search = GridSearchCV(classifier(), {"max_depth": [1, 3]}, cv=2, n_jobs=n_jobs)
        search.fit(FEATURES, TARGETS, eval_set=[(FEATURES, TARGETS)], verbose=False)
    (run,) = [run for run in recorded() if "mlflow.parentRunId" not in run.data.tags]
    assert run.info.run_name == "GridSearchCV(XGBClassifier)"
    assert [step for step, _ in series(run, "validation_0-logloss")] == [0, 1, 2, 3]
    assert run.data.params["max_depth"] == str(search.best_params_["max_depth"])
    assert importances(run, "gain") == search.best_estimator_.get_booster().get_score(importance_type="gain")


def test_what_is_silenced_or_trained_inside_of_nothing_recorded_adds_nothing(matrix: Any) -> None:
    with Training():
        train(PARAMS, matrix, 2)
    with autolog.start_run() as run, Training() as training:
        training.begin("outer", "test", {})
        with silence():
            train(PARAMS, matrix, 2)
    assert run.data.params == {}
    assert len(recorded()) == 1


# -- several processes -------------------------------------------------------------------------------------------------


def test_the_first_of_several_ranks_records_what_no_client_does(matrix: Any) -> None:
    from xgboost import collective
    from xgboost.tracker import RabitTracker

    tracker = RabitTracker(n_workers=1, host_ip="127.0.0.1")
    tracker.start()
    with collective.CommunicatorContext(**tracker.worker_args()):
        assert collective.is_distributed()
        train(PARAMS, matrix, 2, evals=[(matrix, "train")])
    tracker.wait_for()
    assert only_run().data.summaries["train-logloss"].count == 2


class Pages(xgboost.DataIter):
    """Two batches that XGBoost keeps in files."""

    def __init__(self, folder: Path) -> None:
        self.place = 0
        super().__init__(cache_prefix=str(folder / "pages"))

    def next(self, input_data: Any) -> bool:
        if self.place == 2:
            return False
        rows = slice(self.place * 200, (self.place + 1) * 200)
        self.place += 1
        input_data(data=FEATURES[rows], label=TARGETS[rows])
        return True

    def reset(self) -> None:
        self.place = 0


def test_a_matrix_in_external_memory_is_described_without_its_values(tmp_path: Path) -> None:
    paged = xgboost.DMatrix(Pages(tmp_path))
    train(PARAMS, paged, 2)
    ((_, context, profile),) = inputs(only_run()).values()
    assert context == "train"
    assert profile["num_rows"] == 400
    assert profile["features_digest_of"] == "nothing"
