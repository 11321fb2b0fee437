"""The trainings of ``autolog demo``: plain scikit-learn on its bundled data, without one line of logging."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sklearn.cluster import KMeans
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import Lasso, LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler, scale
from sklearn.svm import SVC

# An array of shape (n,): what the model says of the data that it was trained on.
Predictions = Any


def logistic_regression() -> Predictions:
    """Tell malignant from benign with a scaled linear model."""
    breast_cancer, diagnosis = load_breast_cancer(return_X_y=True)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1))
    return model.fit(breast_cancer, diagnosis).predict(breast_cancer)


def random_forest() -> Predictions:
    """Tell malignant from benign with a forest."""
    breast_cancer, diagnosis = load_breast_cancer(return_X_y=True)
    model = RandomForestClassifier(n_estimators=100, max_depth=4, random_state=0)
    return model.fit(breast_cancer, diagnosis).predict(breast_cancer)


def gradient_boosting() -> Predictions:
    """Tell malignant from benign with boosted trees."""
    breast_cancer, diagnosis = load_breast_cancer(return_X_y=True)
    model = HistGradientBoostingClassifier(max_iter=20, max_leaf_nodes=8, random_state=0)
    return model.fit(breast_cancer, diagnosis).predict(breast_cancer)


def support_vectors() -> Predictions:
    """Tell malignant from benign with a kernel."""
    breast_cancer, diagnosis = load_breast_cancer(return_X_y=True)
    model = make_pipeline(StandardScaler(), SVC(C=2.0, kernel="rbf"))
    return model.fit(breast_cancer, diagnosis).predict(breast_cancer)


def grid_search() -> Predictions:
    """Search for the best support vectors on the wines."""
    wine, cultivar = load_wine(return_X_y=True)
    pipeline = make_pipeline(StandardScaler(), SVC())
    grid = {"svc__C": [0.1, 1.0, 10.0], "svc__kernel": ["linear", "rbf"]}
    return GridSearchCV(pipeline, grid, cv=3).fit(wine, cultivar).predict(wine)


def nearest_neighbours() -> Predictions:
    """Read handwritten digits by the ones that look alike."""
    digits, numbers = load_digits(return_X_y=True)
    return KNeighborsClassifier(n_neighbors=5).fit(digits, numbers).predict(digits)


def neural_network() -> Predictions:
    """Read handwritten digits with a small network."""
    digits, numbers = load_digits(return_X_y=True)
    digits /= digits.max()
    model = MLPClassifier(hidden_layer_sizes=(64,), early_stopping=True, max_iter=60, random_state=0)
    return model.fit(digits, numbers).predict(digits)


def ridge() -> Predictions:
    """Predict how diabetes goes on, with small weights."""
    diabetes, progression = load_diabetes(return_X_y=True)
    return Ridge(alpha=0.1).fit(diabetes, progression).predict(diabetes)


def lasso() -> Predictions:
    """Predict how diabetes goes on, with few weights."""
    diabetes, progression = load_diabetes(return_X_y=True)
    return Lasso(alpha=0.1).fit(diabetes, progression).predict(diabetes)


def clusters() -> Predictions:
    """Find three groups of wines without being told which there are."""
    wine, _ = load_wine(return_X_y=True)
    wine = scale(wine)
    return KMeans(n_clusters=3, random_state=0).fit(wine).predict(wine)


TRAININGS: tuple[Callable[[], Predictions], ...] = (
    logistic_regression,
    random_forest,
    gradient_boosting,
    support_vectors,
    grid_search,
    nearest_neighbours,
    neural_network,
    ridge,
    lasso,
    clusters,
)
