import math

import pytest
import torch

from sparsectr.training.optimizers.ftrl import FTRL


def draw(seed, shape):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def run(optimizer, parameter, gradients):
    for gradient in gradients:
        parameter.grad = gradient.clone()
        optimizer.step()
    return parameter.detach()


def parameter(seed=0, shape=(5, 4)):
    return torch.nn.Parameter(draw(seed, shape))


def tensorflow_ftrl(weight, gradients, *, lr, l1, l2):
    """TensorFlow's kernel for one number in plain Python, from its default accumulator of 0.1."""
    accumulator, linear = 0.1, 0.0
    for gradient in gradients:
        grown = accumulator + gradient**2
        linear += gradient - (math.sqrt(grown) - math.sqrt(accumulator)) / lr * weight
        accumulator = grown
        quadratic = math.sqrt(accumulator) / lr + 2 * l2
        weight = 0.0
        if abs(linear) > l1:
            weight = (math.copysign(l1, linear) - linear) / quadratic
    return weight


def test_reproduces_the_kernel_of_tensorflow():
    # From zero weights: there z starts at the 0 that TensorFlow starts with.
    weights = torch.nn.Parameter(torch.zeros(50, dtype=torch.float64))
    gradients = [0.3 * draw(seed, (50,)) for seed in range(1, 12)]
    optimizer = FTRL([weights], lr=0.1, beta=0.0, l1=0.5, l2=2 * 0.7, initial_accumulator=0.1)
    run(optimizer, weights, gradients)

    columns = torch.stack(gradients, dim=1).tolist()
    expected = [tensorflow_ftrl(0.0, column, lr=0.1, l1=0.5, l2=0.7) for column in columns]

    torch.testing.assert_close(weights.tolist(), expected, rtol=1e-12, atol=1e-14)
    assert 0 < expected.count(0.0) < 50


@pytest.mark.parametrize("initial_accumulator", [0.0, 0.1])
def test_weights_trained_before_stay_what_they_are_without_a_gradient(initial_accumulator):
    weights = parameter()
    with torch.no_grad():
        weights[0] = 0.0
    before = weights.detach().clone()
    optimizer = FTRL(
        [weights], l1=3.0, l2=0.4, initial_accumulator=initial_accumulator, going_on=True
    )
    after = run(optimizer, weights, [torch.zeros_like(weights)])
    torch.testing.assert_close(after, before, rtol=1e-14, atol=0)
    assert not after[0].any()


@pytest.mark.parametrize("initial_accumulator", [0.0, 0.1])
def test_fresh_weights_pay_for_the_penalties_at_once(initial_accumulator):
    lr, beta, l1, l2 = 0.3, 0.5, 1.5, 0.4
    weights = parameter()
    firmness = (beta + math.sqrt(initial_accumulator)) / lr
    pull = firmness * weights.detach().clone()
    optimizer = FTRL(
        [weights], lr=lr, beta=beta, l1=l1, l2=l2, initial_accumulator=initial_accumulator
    )
    after = run(optimizer, weights, [torch.zeros_like(weights)])
    expected = pull.sign() * (pull.abs() - l1).clamp(min=0) / (firmness + l2)
    torch.testing.assert_close(after, expected, rtol=0, atol=1e-15)
    assert 0 < (after == 0).sum() < after.numel()


def test_without_penalties_it_is_adagrad():
    ours, theirs = parameter(), parameter()
    gradients = [draw(seed, (5, 4)) for seed in range(1, 20)]
    ftrl = FTRL([ours], lr=0.3, beta=0.7, l1=0.0, l2=0.0, initial_accumulator=0.2)
    adagrad = torch.optim.Adagrad([theirs], lr=0.3, eps=0.7, initial_accumulator_value=0.2)
    torch.testing.assert_close(
        run(ftrl, ours, gradients), run(adagrad, theirs, gradients), rtol=0, atol=1e-13
    )


@pytest.mark.parametrize("scale", [0.01, 4096.0])
def test_a_gradient_scale_is_a_scale_of_the_penalties(scale):
    gradients = [draw(seed, (5, 4)) for seed in range(1, 10)]
    plain, scaled = parameter(), parameter()
    expected = run(
        FTRL([plain], beta=0.7, l1=0.9, l2=0.4, initial_accumulator=0.1), plain, gradients
    )
    optimizer = FTRL(
        [scaled],
        beta=scale * 0.7,
        l1=scale * 0.9,
        l2=scale * 0.4,
        initial_accumulator=scale**2 * 0.1,
        gradient_scale=scale,
    )
    torch.testing.assert_close(run(optimizer, scaled, gradients), expected, rtol=0, atol=1e-12)


def test_the_gradient_scale_is_read_in_every_step():
    gradients = [draw(seed, (5, 4)) for seed in (1, 2)]
    plain, scaled = parameter(), parameter()
    expected = run(FTRL([plain]), plain, gradients)
    optimizer = FTRL([scaled])
    for scale, gradient in zip((8.0, 2.0), gradients, strict=True):
        optimizer.param_groups[0]["gradient_scale"] = scale
        run(optimizer, scaled, [gradient / scale])
    torch.testing.assert_close(scaled.detach(), expected, rtol=0, atol=1e-14)


def test_a_weight_leaves_zero_when_its_gradients_add_up_to_more_than_l1():
    weights = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))
    optimizer = FTRL([weights], l1=1.0)
    for _ in range(4):
        assert run(optimizer, weights, [torch.tensor([-0.22], dtype=torch.float64)]).item() == 0.0
    assert run(optimizer, weights, [torch.tensor([-0.22], dtype=torch.float64)]).item() > 0.0


def test_converges_to_least_squares():
    design, target = draw(1, (30, 4)), draw(2, (30,))
    weights = parameter(3, (4,))
    optimizer = FTRL([weights], lr=0.5, l1=0.01, l2=0.01)
    for _ in range(1000):
        optimizer.zero_grad()
        ((design @ weights - target) ** 2).mean().backward()
        optimizer.step()
    solution = torch.linalg.lstsq(design, target.unsqueeze(1)).solution.squeeze(1)
    torch.testing.assert_close(weights.detach(), solution, rtol=0, atol=1e-8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"lr": 0.0}, r"lr must be > 0, got 0\.0"),
        ({"gradient_scale": -1.0}, r"gradient_scale must be > 0"),
        ({"beta": -1.0}, r"beta must be >= 0"),
        ({"l1": -0.1}, r"l1 must be >= 0, got -0\.1"),
        ({"l2": float("nan")}, r"l2 must be >= 0, got nan"),
        ({"initial_accumulator": -0.1}, r"initial_accumulator must be >= 0"),
        ({"beta": 0.0, "l2": 0.0}, r"one of beta, l2 and initial_accumulator must be > 0"),
    ],
)
def test_refuses_parameters_out_of_range(options, message):
    with pytest.raises(ValueError, match=message):
        FTRL([parameter()], **options)


def test_refuses_sparse_gradients():
    table = parameter()
    table.grad = draw(1, (5, 4)).to_sparse(1)
    with pytest.raises(ValueError, match="Use GroupFTRL"):
        FTRL([table]).step()
