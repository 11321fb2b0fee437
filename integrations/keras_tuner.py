"""Record KerasTuner: a run for every search, and a child of it for every trial, whatever the trials train.

What is recorded is the business of ``keras_tuner_searches``, which is imported with KerasTuner itself.
"""

from __future__ import annotations

from typing import Final

from autolog.hooks import Call, Hook, Integration

keras_tuner: Final = Integration("keras_tuner", requires="keras-tuner>=1.4")

_TUNER: Final = "keras_tuner.src.engine.base_tuner:BaseTuner"
_SEARCHES: Final = "autolog.integrations.keras_tuner_searches"


@keras_tuner.around(f"{_TUNER}.search", within=True)
def search(call: Call) -> Hook:
    """Record a search; its trials tell of themselves."""
    from autolog.integrations.keras_tuner_searches import begin_search, end_search

    begun = begin_search(call)
    yield
    if begun is not None:
        end_search(begun, call.error)


keras_tuner.listen(f"{_TUNER}._try_run_and_update_trial", before=True)(f"{_SEARCHES}:note_beginning")
keras_tuner.listen(f"{_TUNER}._try_run_and_update_trial")(f"{_SEARCHES}:note_ending")
keras_tuner.listen(f"{_TUNER}.on_trial_end")(f"{_SEARCHES}:note_score")
