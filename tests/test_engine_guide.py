"""A guide at work: the way through its states, its budgets, what is forced."""

from gptoss_cli.engine.guide import Walk
from gptoss_cli.prompt import Budget, Guide, State


def test_the_first_state_says_what_may_come_first() -> None:
    walk = Walk(Guide((State(frozenset({3, 1}), {1: 1}), State(None, banned=frozenset({7})))))
    assert walk.allowed is not None
    assert walk.allowed.tolist() == [1, 3]
    assert walk.banned is None
    walk.advance(1)
    assert walk.allowed is None
    assert walk.banned is not None
    assert walk.banned.tolist() == [7]


def test_an_id_leads_to_its_state_and_every_other_to_otherwise() -> None:
    walk = Walk(Guide((State(None, {5: 2}, otherwise=1), State(frozenset({1})), State(frozenset({2})))))
    walk.advance(4)
    assert walk.allowed is not None
    assert walk.allowed.tolist() == [1]
    walk = Walk(Guide((State(None, {5: 2}, otherwise=1), State(frozenset({1})), State(frozenset({2})))))
    walk.advance(5)
    assert walk.allowed is not None
    assert walk.allowed.tolist() == [2]


def test_a_budget_counts_the_ids_sampled_in_all_states_that_name_it() -> None:
    states = (State(None, {1: 1}, 0, budget=0), State(None, {}, 0, budget=0))
    walk = Walk(Guide(states, (Budget(3, (9,), 1),)))
    for id in (1, 2):
        walk.advance(id)
        assert walk.spent() is None
    walk.advance(3)
    assert walk.spent() == Budget(3, (9,), 1)


def test_a_state_without_a_budget_is_not_stopped_by_a_used_up_one() -> None:
    walk = Walk(Guide((State(None, {1: 1}, 0, budget=0), State(None, {}, 1)), (Budget(1),)))
    walk.advance(1)
    assert walk.spent() is None


def test_a_limit_of_zero_is_used_up_before_the_first_id() -> None:
    walk = Walk(Guide((State(None, budget=0), State(frozenset({2}))), (Budget(0, (8, 9), 1),)))
    assert walk.spent() == Budget(0, (8, 9), 1)
    walk.jump(1)
    assert walk.spent() is None
    assert walk.allowed is not None
    assert walk.allowed.tolist() == [2]


def test_a_used_up_budget_is_forced_again_when_its_state_comes_again() -> None:
    walk = Walk(Guide((State(None, budget=0), State(None, {}, 0)), (Budget(0, (8,), 1),)))
    assert walk.spent() == Budget(0, (8,), 1)
    walk.jump(1)
    walk.advance(5)
    assert walk.spent() == Budget(0, (8,), 1)


def test_a_guide_that_would_only_force_ends_the_reply() -> None:
    walk = Walk(Guide((State(None, budget=0),), (Budget(0, (8,), 0),)))
    walk.jump(0)
    spent = walk.spent()
    assert spent is not None
    assert spent.then is None
