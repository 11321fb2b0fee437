"""What a fit leaves behind in an estimator: numbers, curves and importances, read from plain attributes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from autolog.guard import guard
from autolog.integrations.sklearn_metrics import can_be_evaluated, sample_rows
from autolog.integrations.sklearn_params import describe_value
from autolog.integrations.sklearn_predictions import final_estimator
from autolog.run import ActiveRun
from autolog.trust import is_known_code

# MLflow's name for one; the others are called as the attribute is, without the underscore at its end.
_NAMES: Final = {"best_score_": "best_cv_score"}
# What the data set and the params say already, and what is a part of the model.
_NO_RESULTS: Final = frozenset(
    {"n_features_in_", "n_features_", "n_outputs_", "n_classes_", "n_samples_fit_", "n_samples_seen_", "n_samples_"}
    | {"n_features_out_", "n_output_features_", "n_layers_", "n_leaves_", "n_neighbors_", "n_quantiles_", "n_splits_"}
    | {"n_connected_components_", "n_subpopulation_", "n_trees_per_iteration_", "n_required_iterations_"}
    | {"n_possible_iterations_", "min_resources_", "max_resources_", "max_features_", "max_samples_", "batch_size_"}
    | {"bandwidth_", "breakdown_", "epsilon_", "gamma_", "learning_rate_", "doc_topic_prior_", "topic_word_prior_"}
    | {"degrees_of_freedom_prior_", "mean_precision_prior_", "weight_concentration_prior_"}
    | {"intercept_", "offset_", "rank_", "fit_status_"}
)
# One value for each iteration or component: a metric with as many steps.
_CURVES: Final = {
    "loss_curve_": "loss",
    "validation_scores_": "validation_score",
    "train_score_": "train_score",
    "validation_score_": "validation_score",
    "oob_improvement_": "oob_improvement",
    "oob_scores_": "oob_score",
    "estimator_errors_": "estimator_error",
    "scores_": "score",
    "lower_bounds_": "lower_bound",
    "explained_variance_ratio_": "explained_variance_ratio",
    "n_resources_": "n_resources",
    "n_candidates_": "n_candidates",
}
# Their integrations record the importances of every type.
_HAVE_THEIR_OWN: Final = ("xgboost.", "lightgbm.")
# Of a permutation importance, as scikit-learn's default.
_REPEATS: Final = 5
_MOST_STEPS: Final = 10_000


def log_results(run: ActiveRun, estimator: Any) -> None:
    """Log what the fit found, as far as the estimator, or a pipeline's last step, keeps it in plain attributes."""
    last = final_estimator(estimator) if is_known_code(estimator) and "cv_results_" not in vars(estimator) else None
    for fitted in (estimator,) if last is None or last is estimator else (estimator, last):
        found = vars(fitted)
        numbers = dict(kept_numbers(found))
        for attribute, name in _CURVES.items():
            with guard(f"recording {attribute}"):
                if (values := _curve(found.get(attribute))) is not None:
                    numbers.pop(name, None)
                    for step, value in enumerate(values):
                        run.log_metric(name, value, step)
        run.log_metrics(numbers)
    best = vars(estimator).get("best_params_")
    if isinstance(best, Mapping):
        run.log_params({f"best_{key}": describe_value(value) for key, value in best.items()})


def kept_numbers(found: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Yield what an estimator keeps in single numbers, by the names of metrics.

    Args:
        found: the estimator's attributes.
    """
    for attribute, value in dict(found).items():
        if attribute.endswith("_") and attribute[0] != "_" and attribute[-2:] != "__":
            number = _number(value) if attribute not in _NO_RESULTS else None
            if number is not None:
                yield _NAMES.get(attribute, attribute[:-1]), number


def _number(value: Any) -> float | None:
    # By the type itself, since isinstance() asks a proxy for the class of its object.
    kind = type(value)
    if issubclass(kind, (int, float)):
        # A truth value is no measurement.
        return float(value) if kind is not bool else None
    if kind.__module__ == "numpy":
        if kind.__name__ == "ndarray":
            # Iterations are counted for each class or target; the estimator took the most of them.
            return float(value.max()) if value.ndim == 1 and value.dtype.kind in "iu" and len(value) == 1 else None
        if value.dtype.kind in "iuf":
            return float(value)
    return None


def _curve(values: Any) -> list[float] | None:
    kind = type(values)
    if kind.__module__ == "numpy" and kind.__name__ == "ndarray" and values.ndim == 1 and values.dtype.kind in "iuf":
        values = values.tolist()
    elif kind is not list or not all(issubclass(type(value), (int, float)) for value in values):
        return None
    return values if 1 < len(values) <= _MOST_STEPS else None


def log_importances(run: ActiveRun, estimator: Any, features: Any) -> None:
    """Log the importances or coefficients of a fitted model as a figure's data.

    Args:
        run: where to.
        estimator: fitted, of known code with all that it holds.
        features: what it was fitted on, for the names of its columns.
    """
    last = final_estimator(estimator)
    if type(last).__module__.startswith(_HAVE_THEIR_OWN):
        return
    import numpy as np

    from autolog.figures import feature_importance_figure, log_figures

    found: tuple[str, Any] | None = None
    if hasattr(type(last), "feature_importances_") or "feature_importances_" in vars(last):
        found = "model", getattr(last, "feature_importances_", None)
    elif "coef_" in vars(last):
        found = "coefficient", vars(last)["coef_"]
    if found is None or type(found[1]).__module__ != "numpy":
        return
    values = np.asarray(found[1])
    deviations = None
    if values.ndim > 1:
        # One row for each class or target: how much a feature counts in all of them.
        rows = values.reshape(-1, values.shape[-1])
        values, deviations = (
            (rows[0], None) if len(rows) == 1 else (np.abs(rows).mean(axis=0), np.abs(rows).std(axis=0))
        )
    names = feature_names(estimator, last, features, len(values))
    log_figures(run, [feature_importance_figure(names, values, found[0], deviations)])


def feature_names(estimator: Any, last: Any, features: Any, count: int) -> list[str]:
    """Return the names of the features that a model was fitted on: its own, those of the steps before it, or numbers.

    Args:
        estimator: what the user has fitted.
        last: what predicts in the end.
        features: the user's data.
        count: how many names there must be.
    """
    for fitted in (last, estimator):
        names = vars(fitted).get("feature_names_in_")
        if names is not None and len(names) == count:
            return [str(name) for name in names]
    if last is not estimator and len(vars(estimator).get("steps", ())) > 1:
        # Not every transformer knows; those that do are asked in order.
        try:
            names = estimator[:-1].get_feature_names_out()
        except Exception:  # noqa: BLE001  it is AttributeError, ValueError, NotFittedError …
            names = ()
        # Where all steps pass the data through, some return None.
        if names is not None and len(names) == count:
            return [str(name) for name in names]
    columns = getattr(features, "columns", None)
    if columns is not None and len(columns) == count:
        return [str(name) for name in columns]
    return [f"x{index}" for index in range(count)]


def log_permutation_importances(run: ActiveRun, estimator: Any, features: Any, targets: Any, weights: Any) -> None:
    """Compute by how much the training score falls where a feature is shuffled, and log it as a figure's data.

    Args:
        run: where to.
        estimator: fitted, of known code with all that it holds.
        features: shape (n, m), as it was given to fit.
        targets: shape (n,) or (n, outputs), or None: then there is nothing to compute.
        weights: shape (n,), or None.
    """
    import importlib

    from autolog.figures import log_figures, permutation_importance_figure

    most_rows = run.tracking.settings.training_metrics_rows
    if not most_rows or not can_be_evaluated(estimator, features, targets):
        return
    features, targets, weights = sample_rows((features, targets, weights), most_rows)
    inspection: Any = importlib.import_module("sklearn.inspection")
    # Seeded, so that the program's random numbers stay as they are, and the same fit has the same importances.
    found = inspection.permutation_importance(
        estimator, features, targets, n_repeats=_REPEATS, random_state=0, sample_weight=weights
    )
    names = feature_names(estimator, estimator, features, len(found.importances))
    log_figures(run, [permutation_importance_figure(names, found.importances)])
