"""The error tree: each class has one code, and each code one class and one meaning."""

from collections import Counter

from service import errors
from service.errors import RiskscanError, StartupError, Unavailable
from service.problem_types import PROBLEM_TYPES


def error_classes(base=RiskscanError):
    """Return the tree below `base`; steps of ml add start-up errors of their own."""
    children = [c for c in base.__subclasses__() if c.__module__ == errors.__name__]
    return [base, *(c for child in children for c in error_classes(child))]


def test_each_code_has_one_class():
    reach_http = [c for c in error_classes() if not issubclass(c, StartupError)]
    codes = Counter(c.code for c in reach_http if c is not Unavailable)
    assert codes == dict.fromkeys(PROBLEM_TYPES, 1)


def test_no_two_codes_share_title_or_meaning():
    assert len({p.title for p in PROBLEM_TYPES.values()}) == len(PROBLEM_TYPES)
    assert len({p.meaning for p in PROBLEM_TYPES.values()}) == len(PROBLEM_TYPES)


def test_docstring_draws_every_class():
    assert not [c.__name__ for c in error_classes() if f"{c.__name__} " not in errors.__doc__]
