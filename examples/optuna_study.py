"""A study with Optuna: a run, and a child of it for each trial, which the fits and the loops of the trial go into."""

import optuna
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split

import autolog

autolog.enable(experiment="digits with Optuna")
optuna.logging.set_verbosity(optuna.logging.WARNING)

X, X_val, y, y_val = train_test_split(*load_digits(return_X_y=True), random_state=0)


def objective(trial):
    model = SGDClassifier(
        alpha=trial.suggest_float("alpha", 1e-6, 1e-1, log=True),
        loss=trial.suggest_categorical("loss", ["hinge", "log_loss"]),
        random_state=0,
    )
    for epoch in range(8):
        model.partial_fit(X, y, classes=range(10))
        accuracy = model.score(X_val, y_val)
        trial.report(accuracy, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return accuracy


study = optuna.create_study(
    study_name="digits",
    direction="maximize",
    sampler=optuna.samplers.TPESampler(seed=0),
    pruner=optuna.pruners.MedianPruner(n_startup_trials=4),
)
study.optimize(objective, n_trials=15)

search = autolog.search_runs(filter_string="params.study_name = 'digits'", output_format="list")[0]
trials = autolog.search_runs(
    filter_string=f"tags.`mlflow.parentRunId` = '{search.info.run_id}'", order_by=["metrics.value DESC"]
)
print("the best is trial", search.data.tags["autolog.best_trial"], "with", search.data.params["best_alpha"])
print(
    trials[["params.alpha", "params.loss", "metrics.value", "tags.autolog.trial.state"]].head(3).to_string(index=False)
)
