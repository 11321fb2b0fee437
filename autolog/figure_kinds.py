"""The kinds of figures: what each holds. In a file a number that is not finite, or is not there, is ``null``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Union

from msgspec import Struct

Number = Union[float, None]


class ConfusionMatrix(Struct, frozen=True):
    """``counts[i][j]``: how many rows (or what weight) of class ``i`` were predicted to be ``j``."""

    classes: list[str]
    counts: Sequence[Sequence[float]]


class RocCurve(Struct, frozen=True):
    """The true positives of one class against the false, from the highest threshold to the lowest.

    ``threshold`` is null at the first point, which predicts nothing.
    """

    label: str
    false_positive_rate: list[Number]
    true_positive_rate: list[Number]
    threshold: list[Number]
    auc: Number = None


class Roc(Struct, frozen=True):
    """One ROC curve of two classes; one for each class against the rest of more."""

    curves: list[RocCurve]


class PrecisionRecallCurve(Struct, frozen=True):
    """Precision against recall of one class, from the highest threshold to the lowest.

    ``positive_share`` is the precision that guessing has.
    """

    label: str
    recall: list[Number]
    precision: list[Number]
    threshold: list[Number]
    average_precision: Number = None
    positive_share: Number = None


class PrecisionRecall(Struct, frozen=True):
    """One precision-recall curve of two classes; one for each class against the rest of more."""

    curves: list[PrecisionRecallCurve]


class Calibration(Struct, frozen=True):
    """How often what was predicted with a probability came true, in bins of equal width that hold something.

    ``label`` is the class whose probability it is; null where it is that of the predicted class.
    """

    label: str | None
    predicted: list[Number]
    observed: list[Number]
    count: list[float]


class Residuals(Struct, frozen=True):
    """Target minus prediction, over the prediction for some rows, and as a histogram of all."""

    predicted: list[Number]
    residual: list[Number]
    edges: list[float]
    counts: list[float]
    rows: int


class FeatureImportance(Struct, frozen=True):
    """Features from the most important to the least; ``features_in_all`` counts those that are left out too."""

    type: str
    features: list[str]
    values: list[Number]
    features_in_all: int
    deviations: list[Number] | None = None


class PermutationImportance(Struct, frozen=True):
    """By how much a score falls when a feature is shuffled: mean and standard deviation over the repeats."""

    features: list[str]
    means: list[Number]
    deviations: list[Number]
    features_in_all: int
    scoring: str | None = None


class LearningCurve(Struct, frozen=True):
    """Scores over the number of training rows: a list of the folds' scores for each."""

    sizes: list[float]
    train_scores: list[list[Number]]
    test_scores: list[list[Number]]
    scoring: str | None = None


class ValidationCurve(Struct, frozen=True):
    """Scores over the values of a param: a list of the folds' scores for each."""

    param: str
    values: list[Union[int, float, str, None]]
    train_scores: list[list[Number]]
    test_scores: list[list[Number]]
    scoring: str | None = None


class CrossValidation(Struct, frozen=True):
    """The score of each fold, by the score's name."""

    scores: dict[str, list[Number]]


class Search(Struct, frozen=True):
    """The candidates of a search in their order: what was tried, mean and standard deviation of the score."""

    params: dict[str, list[Union[int, float, str, None]]]
    means: list[Number]
    deviations: list[Number]
    candidates: list[int]
    candidates_in_all: int
    scoring: str | None = None


KINDS: Final[Mapping[str, type[Struct]]] = {
    "confusion_matrix": ConfusionMatrix,
    "roc": Roc,
    "precision_recall": PrecisionRecall,
    "calibration": Calibration,
    "residuals": Residuals,
    "feature_importance": FeatureImportance,
    "permutation_importance": PermutationImportance,
    "learning_curve": LearningCurve,
    "validation_curve": ValidationCurve,
    "cross_validation": CrossValidation,
    "search": Search,
}
