"""What is recorded around a fit: before it what was asked for, after it what came of it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from autolog.attribution import attribute_model
from autolog.guard import guard
from autolog.hooks import Call
from autolog.integrations.sklearn_metrics import is_trusted, training_metrics
from autolog.integrations.sklearn_params import (
    describe_input,
    describe_params,
    log_params,
    log_structure,
    name_of_last_step,
)
from autolog.integrations.sklearn_results import log_importances, log_permutation_importances, log_results
from autolog.integrations.sklearn_searches import find_search, log_search
from autolog.predictions import note_predictions

if TYPE_CHECKING:
    from autolog.integrations.sklearn_searches import Candidates
    from autolog.run import ActiveRun

# With one fit these many models come to be, which may be used on their own.
_MODELS_WITHIN: Final = ("best_estimator_", "regressor_")


def log_beginning(run: ActiveRun, estimator: Any, call: Call) -> None:
    """Record an estimator's params and structure, and what it is given."""
    with guard("recording params"):
        log_params(run, type(estimator).__name__, describe_params(estimator))
    with guard("recording an estimator's structure"):
        log_structure(run, estimator)
    features, targets, _ = training_data(call)
    if features is not None and run.tracking.settings.log_datasets:
        with guard("describing a data set"):
            run.log_inputs([describe_input(features, targets)])


def log_end(run: ActiveRun, estimator: Any, call: Call, candidates: Candidates) -> None:
    """Record what a fit has found: results, a search's candidates, training metrics, importances."""
    with guard("attributing a model"):
        attribute_model(estimator, run)
        for name in _MODELS_WITHIN:
            if (within := vars(estimator).get(name)) is not None:
                attribute_model(within, run)
        # What fit_predict returns; a model, as of fit, is passed over. The frame has no name: it would hold itself.
        data, _, _ = training_data(call)
        note_predictions(estimator, data, call.result, sys._getframe())  # noqa: SLF001  the documented way
    with guard("recording results"):
        log_results(run, estimator)
    with guard("recording a search"):
        if (search := find_search(estimator)) is not None:
            log_search(run, search, candidates)
    with guard("asking whether an estimator may be called"):
        if is_trusted(estimator):
            _log_evaluation(run, estimator, *training_data(call))


def _log_evaluation(run: ActiveRun, estimator: Any, features: Any, targets: Any, weights: Any) -> None:
    """Record what has to be computed: training metrics and importances."""
    settings = run.tracking.settings
    with guard("computing training metrics"):
        computed = training_metrics(estimator, features, targets, weights, most_rows=settings.training_metrics_rows)
        run.log_metrics(computed.metrics)
        if computed.figures:
            from autolog.figures import log_figures

            log_figures(run, computed.figures)
        if computed.rows is not None:
            run.set_tag("autolog.training_metrics.rows", computed.rows)
    with guard("recording importances"):
        log_importances(run, estimator, features)
    if settings.permutation_importances:
        with guard("computing permutation importances"):
            log_permutation_importances(run, estimator, features, targets, weights)


def training_data(call: Call) -> tuple[Any, Any, Any]:
    """Return the features, the targets and the weights that a call was given, whatever their names are."""
    features, targets = call.argument("X"), call.argument("y")
    if features is None:
        given = call.args if call.instance is not None else call.args[1:]
        features = given[0] if given else None
    if targets is None:
        targets = call.argument("Y")
    weights = call.argument("sample_weight")
    if weights is None and call.kwargs:
        # What a fit passes on: by its own name, or for a pipeline's last step.
        last = name_of_last_step(call.instance)
        weights = call.kwargs.get("sample_weight", call.kwargs.get(f"{last}__sample_weight"))
    return features, targets, weights
