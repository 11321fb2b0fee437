"""The Optuna integration keeps every promise of the suite."""

import pytest

from autolog.entities import RunStatus
from autolog.testing.integration_suite import IntegrationSuite

pytest.importorskip("optuna")


class TestOptuna(IntegrationSuite):
    integration = "optuna"
    imports = (
        "import optuna\n"
        "optuna.logging.set_verbosity(optuna.logging.CRITICAL)\n"
        "def optimize(objective):\n"
        "    study = optuna.create_study(study_name='s', sampler=optuna.samplers.TPESampler(seed=1))\n"
        "    study.optimize(objective, n_trials=3)"
    )
    training = "optimize(lambda trial: trial.suggest_float('x', -1, 1) ** 2)"
    failing = "optimize(lambda trial: trial.suggest_float('x', 1, -1))"
    patched = (
        "optuna.study.Study.optimize",
        "optuna.study.Study.ask",
        "optuna.trial.Trial.report",
        "optuna.study._tell._tell_with_warning",
    )
    bound = ("optuna.create_study().optimize",)

    def test_a_training_inside_the_users_run_goes_into_it_and_a_second_one_into_a_child(self) -> None:
        self.run_program(
            f"""
import autolog
autolog.enable(strict=True)
{self.imports}
with autolog.start_run(run_name="mine"):
    {self.training}
    {self.training}
"""
        )
        (run,) = self.recorded()
        assert run.info.run_name == "mine"
        children = self._children(run.info.run_id)
        (second,) = [child for child in children if child.info.run_name == "s"]
        trials = [child for child in children if child is not second]
        assert second.data.params == run.data.params
        assert {trial.info.run_name for trial in trials} == {"trial 0", "trial 1", "trial 2"}
        assert len(self._children(second.info.run_id)) == 3
        assert all(trial.info.status is RunStatus.FINISHED for trial in trials)
