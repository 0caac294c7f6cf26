"""Exports PyTorch's learning-rate schedules and optimizer steps as fixtures of the engine.

    python scripts/export_training_reference.py

Writes crates/engine/fixtures/schedules.json (the first 50 factors of each schedule) and optimizers.json (two
parameters after three steps of each optimizer, from fixed values and gradients). Nothing is random. Made with
torch 2.15; any later version should give the same numbers to 1e-6.
"""

import json
import pathlib
import warnings

import torch

warnings.filterwarnings("ignore")
OUT = pathlib.Path(__file__).parent.parent / "crates" / "engine" / "fixtures"
STEPS = 50


def factors(make, scores=None):
    """The rate of each of the first 50 steps with a base rate of 1."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = make(optimizer)
    rates = []
    for step in range(STEPS):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if scores is None:
            schedule.step()
        else:
            schedule.step(scores[step])
    return rates


def schedules():
    s = torch.optim.lr_scheduler
    # A score that rises, stands still for long, and rises again.
    scores = [min(t, 8) / 10 + max(0, t - 40) / 100 for t in range(STEPS)]
    return {
        "constant": factors(lambda o: s.ConstantLR(o, factor=1.0)),
        "step": factors(lambda o: s.StepLR(o, step_size=7, gamma=0.5)),
        "multi_step": factors(lambda o: s.MultiStepLR(o, milestones=[10, 25, 40], gamma=0.1)),
        "exponential": factors(lambda o: s.ExponentialLR(o, gamma=0.95)),
        "cosine": factors(lambda o: s.CosineAnnealingLR(o, T_max=STEPS, eta_min=0.01)),
        "cosine_restarts": factors(lambda o: s.CosineAnnealingWarmRestarts(o, T_0=6, T_mult=2, eta_min=0.05)),
        "polynomial": factors(lambda o: s.PolynomialLR(o, total_iters=STEPS, power=0.9)),
        "one_cycle": factors(lambda o: s.OneCycleLR(o, max_lr=1.0, total_steps=STEPS + 1, cycle_momentum=False)),
        "plateau": factors(
            lambda o: s.ReduceLROnPlateau(o, mode="max", factor=0.5, patience=3, cooldown=2, min_lr=0.1), scores
        ),
        "warmup_cosine": factors(
            lambda o: s.SequentialLR(
                o,
                [s.LinearLR(o, start_factor=0.1, total_iters=10), s.CosineAnnealingLR(o, T_max=STEPS - 10)],
                milestones=[10],
            )
        ),
        "plateau_scores": scores,
    }


def optimizer(make):
    """A 2x3 matrix and a vector of 3 after each of three steps."""
    matrix = torch.nn.Parameter(torch.tensor([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]]))
    vector = torch.nn.Parameter(torch.tensor([0.1, -0.2, 0.3]))
    opt = make([matrix, vector])
    after = []
    for step in range(3):
        matrix.grad = torch.tensor([[0.1, -0.2, 0.3], [-0.4, 0.5, 0.0]]) * (1 + 0.5 * step)
        vector.grad = torch.tensor([1.0, -0.01, 1e-4]) * (1 - 0.7 * step)
        opt.step()
        after.append({"matrix": matrix.detach().flatten().tolist(), "vector": vector.detach().tolist()})
    return after


def optimizers():
    o = torch.optim
    return {
        "sgd": optimizer(lambda p: o.SGD(p, lr=0.1)),
        "sgd_momentum": optimizer(lambda p: o.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.01)),
        "sgd_dampening": optimizer(lambda p: o.SGD(p, lr=0.1, momentum=0.9, dampening=0.3)),
        "sgd_nesterov": optimizer(lambda p: o.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01)),
        "adam": optimizer(lambda p: o.Adam(p, lr=0.01, weight_decay=0.1)),
        "adamw": optimizer(lambda p: o.AdamW(p, lr=0.01, weight_decay=0.1)),
        "rmsprop": optimizer(lambda p: o.RMSprop(p, lr=0.01, momentum=0.5, weight_decay=0.1)),
        "rmsprop_centered": optimizer(lambda p: o.RMSprop(p, lr=0.01, centered=True)),
        "adagrad": optimizer(lambda p: o.Adagrad(p, lr=0.1, lr_decay=0.05, weight_decay=0.1)),
        "muon": muon(0.02, 0.95, 0.1),
        "lion": lion(0.01, 0.9, 0.99, 0.1),
        "lamb": lamb(0.01, 0.9, 0.999, 1e-6, 0.1),
    }


def muon(rate, momentum, decay, steps=5):
    """torch.optim.Muon with Nesterov's momentum, in double precision: PyTorch orthogonalises in bfloat16, which
    leaves two digits."""
    def rule(p, g, state):
        v = state["v"] = momentum * state.get("v", torch.zeros_like(p)) + g
        x = g + momentum * v
        x = x / x.norm().clamp(min=1e-7)
        for _ in range(steps):
            gram = x @ x.T
            x = 3.4445 * x + (-4.775 * gram + 2.0315 * gram @ gram) @ x
        return p * (1 - rate * decay) - rate * max(1, p.shape[0] / p.shape[1]) ** 0.5 * x
    return [{"matrix": step["matrix"]} for step in by_hand(rule, matrix_only=True)]


def lion(rate, beta1, beta2, decay):
    """Chen et al. (2023), Algorithm 2, which PyTorch does not have, in double precision."""
    def rule(p, g, state):
        m = state.get("m", torch.zeros_like(p))
        update = torch.sign(beta1 * m + (1 - beta1) * g)
        state["m"] = beta2 * m + (1 - beta2) * g
        return p - rate * (update + decay * p)
    return by_hand(rule)


def lamb(rate, beta1, beta2, eps, decay):
    """You et al. (2020), Algorithm 2 with bias correction, which PyTorch does not have, in double precision."""
    def rule(p, g, state):
        t = state["t"] = state.get("t", 0) + 1
        m = state["m"] = beta1 * state.get("m", torch.zeros_like(p)) + (1 - beta1) * g
        v = state["v"] = beta2 * state.get("v", torch.zeros_like(p)) + (1 - beta2) * g * g
        r = (m / (1 - beta1**t)) / ((v / (1 - beta2**t)).sqrt() + eps) + decay * p
        trust = p.norm() / r.norm() if p.norm() > 0 and r.norm() > 0 else 1.0
        return p - rate * trust * r
    return by_hand(rule)


def by_hand(rule, matrix_only=False):
    matrix = torch.tensor([[0.5, -1.0, 2.0], [1.5, 0.25, -0.75]], dtype=torch.float64)
    vector = torch.tensor([0.1, -0.2, 0.3], dtype=torch.float64)
    states = [{}, {}]
    after = []
    for step in range(3):
        g = torch.tensor([[0.1, -0.2, 0.3], [-0.4, 0.5, 0.0]], dtype=torch.float64) * (1 + 0.5 * step)
        matrix = rule(matrix, g, states[0])
        if not matrix_only:
            g = torch.tensor([1.0, -0.01, 1e-4], dtype=torch.float64) * (1 - 0.7 * step)
            vector = rule(vector, g, states[1])
        after.append({"matrix": matrix.flatten().tolist(), "vector": vector.tolist()})
    return after


if __name__ == "__main__":
    OUT.mkdir(parents=True, exist_ok=True)
    for name, content in [("schedules", schedules()), ("optimizers", optimizers())]:
        (OUT / f"{name}.json").write_text(json.dumps({"torch": torch.__version__, **content}, indent=1) + "\n")
        print(f"{name}: {', '.join(content)}")
