"""Record every training with scikit-learn: which calls make a run, and what is recorded around them.

What is recorded is the business of the modules beside this one, which are imported with the first training.
"""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import Any, Final

from autolog.hooks import Call, Hook, Integration
from autolog.integrations.sklearn_scores import observe_scores
from autolog.training import silence

sklearn: Final = Integration("sklearn", requires="scikit-learn>=1.4")
observe_scores(sklearn)

# Fitting one of these on its own prepares data and trains nothing; MLflow leaves the same ones out.
_PREPARATION: Final = (
    "sklearn.preprocessing.",
    "sklearn.impute.",
    "sklearn.feature_extraction.",
    "sklearn.feature_selection.",
    "sklearn.compose._column_transformer.",
)


@sklearn.around(
    "sklearn.base:BaseEstimator+.fit",
    "sklearn.base:BaseEstimator+.fit_transform",
    "sklearn.base:BaseEstimator+.fit_predict",
)
def fit(call: Call) -> Hook:
    """Record the outermost fit: params and data before it, what came of it after."""
    estimator = _estimator_of(call)
    if _prepares_data(estimator):
        yield
        return
    from autolog.integrations.sklearn_fits import log_beginning, log_end
    from autolog.integrations.sklearn_params import name_run, tags_of, trains_several
    from autolog.integrations.sklearn_searches import watch_candidates
    from autolog.integrations.sklearn_streams import finish_stream

    finish_stream(estimator)
    run = call.begin(name_run(estimator), **tags_of(estimator))
    log_beginning(run, estimator, call)
    # What its members log would be mixed up.
    with silence() if trains_several(estimator) else nullcontext():
        candidates = watch_candidates(call.training)
        yield
    if call.error is None:
        log_end(run, estimator, call, candidates)


@sklearn.around("sklearn.base:BaseEstimator+.partial_fit")
def partial_fit(call: Call) -> Hook:
    """Record a stream of batches as one run, with a step for each."""
    estimator = _estimator_of(call)
    if _prepares_data(estimator):
        yield
        return
    from autolog.integrations.sklearn_fits import training_data
    from autolog.integrations.sklearn_streams import finish_stream, open_stream

    features, targets, weights = training_data(call)
    stream = open_stream(call, estimator, features, targets)
    yield
    if call.error is None:
        stream.record(estimator, features, targets, weights)
    else:
        finish_stream(estimator, call.error)


@sklearn.around("sklearn.model_selection._validation:_fit_and_score", within=True)
def fit_and_score(call: Call) -> Hook:
    """Note when a fold of a candidate was trained; what is trained in it logs nothing of its own."""
    began = time.time()
    with silence():
        yield
    if call.is_nested:
        from autolog.integrations.sklearn_searches import note_fold

        note_fold(call, began, time.time())


@sklearn.around(
    "sklearn.model_selection:cross_validate",
    "sklearn.model_selection:cross_val_score",
    "sklearn.model_selection:cross_val_predict",
    "sklearn.model_selection:learning_curve",
    "sklearn.model_selection:validation_curve",
    "sklearn.model_selection:permutation_test_score",
)
def validate(call: Call) -> Hook:
    """Record a cross-validation as one run, with its folds, sizes, values or permutations as steps."""
    from autolog.integrations.sklearn_params import tags_of
    from autolog.integrations.sklearn_validation import log_validation_beginning, log_validation_end, name_validation

    estimator = call.argument("estimator")
    run = call.begin(name_validation(call, estimator), **tags_of(estimator))
    log_validation_beginning(run, call, estimator)
    with silence():
        yield
    if call.error is None:
        log_validation_end(run, call)


def _estimator_of(call: Call) -> Any:
    # Without an instance it was called through its class, with the estimator as the first argument.
    return call.instance if call.instance is not None else next(iter(call.args), None)


def _prepares_data(estimator: Any) -> bool:
    """Say whether a fit trains no model; a call that lacks its estimator trains nothing at all."""
    cls = type(estimator)
    return estimator is None or f"{cls.__module__}.{cls.__qualname__}".startswith(_PREPARATION)
