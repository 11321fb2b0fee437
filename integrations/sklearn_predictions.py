"""Predicted classes and probabilities of a fitted classifier from one pass over the data, where one suffices.

``predict`` and ``predict_proba`` of most classifiers begin with the same step: a decision function, the neighbours,
the probabilities themselves. Both are called, as the class defines them, on a shallow copy of the estimator that
takes this step once. So what comes out is what the class would say, whatever the version of scikit-learn; where a
class does not take the step after all, it is two passes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

# By the function that predicts: the methods that it shares with predict_proba. Read in scikit-learn 1.9.1,
# LightGBM 4.7.0.
_SHARED: Final = {
    "sklearn.linear_model._base:LinearClassifierMixin.predict": ("decision_function",),
    "sklearn.discriminant_analysis:DiscriminantAnalysisPredictionMixin.predict": ("_decision_function",),
    "sklearn.discriminant_analysis:QuadraticDiscriminantAnalysis.predict": ("_decision_function",),
    "sklearn.naive_bayes:_BaseNB.predict": ("_joint_log_likelihood",),
    "sklearn.neural_network._multilayer_perceptron:MLPClassifier.predict": ("_forward_pass_fast",),
    "sklearn.neighbors._classification:KNeighborsClassifier.predict": ("kneighbors", "predict_proba"),
    "sklearn.neighbors._classification:RadiusNeighborsClassifier.predict": ("predict_proba",),
    "sklearn.tree._classes:BaseDecisionTree.predict": ("tree_.predict",),
    "sklearn.ensemble._forest:ForestClassifier.predict": ("predict_proba",),
    "sklearn.ensemble._bagging:BaggingClassifier.predict": ("predict_proba",),
    "sklearn.ensemble._voting:VotingClassifier.predict": ("predict_proba",),
    "sklearn.ensemble._stacking:StackingClassifier.predict": ("transform",),
    "sklearn.ensemble._weight_boosting:AdaBoostClassifier.predict": ("decision_function",),
    "sklearn.ensemble._gb:GradientBoostingClassifier.predict": ("decision_function",),
    "sklearn.ensemble._hist_gradient_boosting.gradient_boosting:HistGradientBoostingClassifier.predict": (
        "_raw_predict",
    ),
    "sklearn.calibration:CalibratedClassifierCV.predict": ("predict_proba",),
    "sklearn.semi_supervised._label_propagation:BaseLabelPropagation.predict": ("predict_proba",),
    "lightgbm.sklearn:LGBMClassifier.predict": ("predict_proba",),
}
_PIPELINES: Final = frozenset({"sklearn.pipeline:Pipeline.predict", "imblearn.pipeline:Pipeline.predict"})
_SEARCH: Final = "sklearn.model_selection._search:BaseSearchCV.predict"
_XGBOOST: Final = "xgboost.sklearn:XGBClassifier.predict"


class Predictions(NamedTuple):
    """The predicted labels or numbers, and a classifier's probabilities: None where it has none."""

    predicted: Any
    probabilities: Any = None


def predict(estimator: Any, features: Any) -> Predictions:
    """Return what ``predict`` and, of a classifier, ``predict_proba`` return.

    Args:
        estimator: fitted, of a known library with all that it holds; nothing of it is changed.
        features: shape (n, m).
    """
    from sklearn.base import is_classifier

    is_binary_or_more = is_classifier(estimator)
    estimator, features = _descend(estimator, features)
    estimator = _quiet(estimator)
    if not is_binary_or_more or not hasattr(estimator, "predict_proba"):
        return Predictions(estimator.predict(features))
    place = implementation(estimator, "predict")
    if place == _XGBOOST:
        return _predict_with_xgboost(estimator, features)
    shared = _SHARED.get(place, ())
    if shared:
        estimator = _twin(estimator)
    for path in shared:
        _share(estimator, path)
    probabilities = estimator.predict_proba(features)
    return Predictions(estimator.predict(features), probabilities)


def implementation(estimator: Any, method: str) -> str:
    """Return where the function is defined that a method of an estimator runs, as ``module:Class.method``."""
    function = getattr(type(estimator), method, None)
    return f"{getattr(function, '__module__', '')}:{getattr(function, '__qualname__', '')}"


def final_estimator(estimator: Any) -> Any:
    """Return what predicts in the end: a pipeline's last step, a search's best estimator, or the estimator itself.

    Of a pipeline that ends with "passthrough" it is the pipeline.
    """
    while True:
        place = implementation(estimator, "predict")
        if place in _PIPELINES and hasattr(type(last := estimator.steps[-1][1]), "get_params"):
            estimator = last
        elif place == _SEARCH and hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        else:
            return estimator


def _descend(estimator: Any, features: Any) -> tuple[Any, Any]:
    """Return what predicts in the end, and what the steps before it make of the features."""
    while True:
        place = implementation(estimator, "predict")
        if place in _PIPELINES:
            samples = place.startswith("imblearn")
            for _, step in estimator.steps[:-1]:
                # A step that resamples does so in training only.
                if step is not None and step != "passthrough" and not (samples and hasattr(step, "fit_resample")):
                    features = step.transform(features)
            estimator = estimator.steps[-1][1]
        elif place == _SEARCH and hasattr(estimator, "best_estimator_"):
            estimator = estimator.best_estimator_
        else:
            return estimator, features


def _predict_with_xgboost(estimator: Any, features: Any) -> Predictions:
    # XGBClassifier.predict (3.2.0): with these objectives it takes the probabilities, and of two classes the second
    # where its own is above one half.
    probabilities = estimator.predict_proba(features)
    if probabilities.shape[1] == estimator.n_classes_ and isinstance(estimator.objective, str):
        if estimator.n_classes_ == 2 and estimator.objective == "binary:logistic":  # noqa: PLR2004  binary
            return Predictions((probabilities[:, 1] > 0.5).astype(int), probabilities)  # noqa: PLR2004  as above
        if estimator.n_classes_ > 2 and estimator.objective in {"binary:logistic", "multi:softprob"}:  # noqa: PLR2004
            return Predictions(probabilities.argmax(axis=1), probabilities)
    return Predictions(estimator.predict(features), probabilities)


def is_loud(verbose: Any) -> bool:
    """Say whether a value of ``verbose`` has an estimator report what it does; LightGBM's -1 has not."""
    return bool(verbose) and not (isinstance(verbose, int) and verbose < 0)


def _quiet(estimator: Any) -> Any:
    """Return the estimator, or where it reports what it does, a shallow copy that does not."""
    if not is_loud(getattr(estimator, "verbose", 0)):
        return estimator
    silent = _twin(estimator)
    silent.verbose = 0
    return silent


def _twin(estimator: Any) -> Any:
    """Return a shallow copy; without the ``__reduce__`` and ``__setstate__`` of its class, which pickles are for."""
    twin = object.__new__(type(estimator))
    vars(twin).update(vars(estimator))
    return twin


def _share(twin: Any, path: str) -> None:
    """Have a method of a twin computed once, whatever it is called with: it is always the same data."""
    holder, _, name = path.rpartition(".")
    if holder:
        inner = getattr(twin, holder)
        setattr(twin, holder, SimpleNamespace(**{name: _once(getattr(inner, name))}))
    elif hasattr(twin, name):
        setattr(twin, name, _once(getattr(twin, name)))


def _once(method: Callable[..., Any]) -> Callable[..., Any]:
    kept: list[Any] = []

    def shared(*args: Any, **kwargs: Any) -> Any:
        if not kept:
            kept.append(method(*args, **kwargs))
        # A copy, since probabilities are computed in place from the scores.
        return kept[0].copy() if type(kept[0]).__module__ == "numpy" else copy.deepcopy(kept[0])

    return shared
