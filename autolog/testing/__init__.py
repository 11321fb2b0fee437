"""Conformance suites for backends and integrations, shipped so that third parties can test theirs."""

import pytest

# So that a failing assertion of a suite shows its values, as one in a test file does.
pytest.register_assert_rewrite(
    "autolog.testing.backend_metrics",
    "autolog.testing.backend_records",
    "autolog.testing.backend_search",
    "autolog.testing.backend_suite",
)
