import inspect

from broker import errors


def test_every_error_is_one_the_product_can_say_to_a_person() -> None:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    assert len(kinds) > 1
    assert all(issubclass(kind, errors.BrokerError) for kind in kinds)


def test_whose_fault_it_is_is_never_ambiguous() -> None:
    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind is not errors.BrokerError]
    assert not [(a, b) for a in kinds for b in kinds if a is not b and issubclass(a, b)]
