"""Learning rates of any number of steps."""

import pytest
import torch

from adapters.training.fit import one_cycle


@pytest.mark.parametrize("steps", [1, 2, 9, 10, 11, 20, 100])
def test_rates_of_any_number_of_steps_rise_and_fall(steps: int) -> None:
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)])
    schedule, rates = one_cycle(optimiser, 0.1, steps), []
    for _ in range(steps):
        rates.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        if len(rates) < steps:
            schedule.step()
    assert max(rates) <= 0.1 + 1e-9
    assert steps < 9 or max(rates) > 0.09
    assert steps == 1 or rates[-1] < max(rates)
