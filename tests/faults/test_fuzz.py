"""A part of the fuzzing of `make faults`."""

import pytest

from tests.faults import fuzz

N_CASES = {"adapters": 60, "key=value": 80}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", fuzz.KINDS)
def test_whatever_is_in_a_file_is_a_value_or_one_line(name):
    n_cases = N_CASES.get(name, 150)
    counts = fuzz.run(name, n_cases)
    assert sum(counts.values()) == n_cases and (counts["told"] > 0 or name == "cache files")
