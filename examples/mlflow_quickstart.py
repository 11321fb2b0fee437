"""MLflow's introduction, step by step, with one line changed: the import."""

import autolog as mlflow  # isort: skip

from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import train_test_split

mlflow.set_experiment("MLflow Quickstart")

X, y = load_iris(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.2, random_state=42)
params = {"solver": "lbfgs", "max_iter": 1000, "random_state": 8888}

with mlflow.start_run(run_name="first") as run:
    mlflow.log_params(params)
    model = LogisticRegression(**params).fit(X_train, y_train)
    mlflow.log_metric("accuracy", accuracy_score(y_test, model.predict(X_test)))
    for step, strength in enumerate((0.01, 0.1, 1.0)):
        weaker = LogisticRegression(C=strength, max_iter=1000).fit(X_train, y_train)
        mlflow.log_metric("accuracy by C", weaker.score(X_test, y_test), step=step)
    mlflow.set_tag("Training Info", "Basic LR model for iris data")
    mlflow.log_text("setosa\nversicolor\nvirginica\n", "classes.txt")
    mlflow.log_dict({"features": X.shape[1], "rows": X.shape[0]}, "data/shape.json")
    mlflow.log_artifact(__file__, artifact_path="code")

best = mlflow.search_runs(
    experiment_names=["MLflow Quickstart"],
    filter_string="metrics.accuracy > 0.9 and params.solver = 'lbfgs'",
    order_by=["metrics.accuracy DESC"],
)
print(best[["run_id", "status", "metrics.accuracy", "params.solver", "tags.Training Info"]].to_string(index=False))

client = mlflow.MlflowClient()
print([point.value for point in client.get_metric_history(run.info.run_id, "accuracy by C")])
print(sorted(file.path for file in client.list_artifacts(run.info.run_id)))
