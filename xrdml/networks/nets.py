"""Networks from a curve to parameters: one encoder, and heads that read its feature sequence.

The encoder is a residual convolutional network (He et al., arXiv:1512.03385, with the order of arXiv:1603.05027) that
shortens the window early, since convolutions at full resolution cost most and the fringes are many points wide.
A head pools the sequence by attention: learned queries choose positions by content and place, because the place of a
fringe is what carries the strain; places begin as sines and cosines (arXiv:1706.03762) and are learned. Heads end in
logits; their sigmoid is a point of the unit cube, which ``ParameterSpace.from_unit`` maps onto the valid region. So
every output keeps ranges and constraints.

Tensors are (n, channels, 1, length) in channels-last layout, for which convolutions on CPUs are fastest.
"""

from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from xrdml.data.ranges import INSTRUMENT
from xrdml.networks.flows import Posterior
from xrdml.networks.losses import BETA
from xrdsim.errors import ParameterError
from xrdsim.limits import Json
from xrdsim.profiles.two_gaussians import L1, L2, RP1, RP2

SURPRISE = 0.1
"""Weight of a flow's negative log-likelihood beside the loss on parameters."""

DECODED = 0.5
"""Weight of the error of a decoded curve, a mean over the window in units of the input, beside it."""


class Model(StrEnum):
    """Which network.

    All parameters at once; coarse, then a correction of some; a posterior distribution; parameters and the noise-free
    curve; or self-attention, and heads of their own for depths and for strains.
    """

    WEIGHTED = "weighted"
    HIERARCHICAL = "hierarchical"
    FLOW = "flow"
    MULTITASK = "multitask"
    ATTENTION = "attention"


@dataclass(frozen=True)
class Architecture:
    """Sizes of a network; stored in the model card.

    Parameters
    ----------
    kind : the ``Model``.
    points : length of the window.
    outputs : number of parameters.
    fine : columns of the parameters that the hierarchical model corrects.
    channels, blocks : of each stage; every stage after the stem halves the length.
    stem : stride of the first convolution.
    kernel : width of the convolutions in the blocks.
    queries : of the attention pooling.
    hidden : width of the hidden layer in the heads.
    context, transforms, bins : of the flow: width of what conditions it, couplings, pieces of each spline.
    point : of the flow: width of the hidden layers between the context and the point estimate; 0 for none.
    layers, heads : of the self-attention.
    """

    kind: str = Model.WEIGHTED.value
    points: int = 701
    outputs: int = 7
    fine: tuple[int, ...] = ()
    channels: tuple[int, ...] = (64, 128, 192)
    blocks: tuple[int, ...] = (1, 1, 1)
    stem: int = 8
    kernel: int = 3
    queries: int = 8
    hidden: int = 256
    context: int = 128
    transforms: int = 5
    bins: int = 8
    point: int = 0
    layers: int = 2
    heads: int = 4

    @classmethod
    def of(cls, kind: str, points: int, outputs: int, fine: tuple[int, ...] = ()) -> Self:
        """The default sizes of a kind; a flow has more to say and gets a larger encoder."""
        larger: Any = {"channels": (64, 128, 256), "blocks": (1, 1, 2), "point": 256}
        return replace(cls(kind, points, outputs, fine), **larger if kind == Model.FLOW else {})

    def to_dict(self) -> Json:
        """Plain values for JSON; what only one kind has is left out of others, whose cards never had it."""
        values = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        without = {"layers", "heads"} if self.kind != Model.ATTENTION else set()
        without |= {"point"} if self.kind != Model.FLOW else set()
        return {name: value for name, value in values.items() if name not in without}


class Block(nn.Module):
    """x + conv(ReLU(norm(conv(ReLU(norm(x))))))."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            _conv(channels, channels, kernel),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            _conv(channels, channels, kernel),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = x + self.layers(x)
        return out


class Encoder(nn.Module):
    """(n, 2, points) standardised log-intensity and validity → (n, length, channels) features with their place."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        layers: list[nn.Module] = [_conv(2, a.channels[0], 2 * a.stem + 1, a.stem)]
        length = -(-a.points // a.stem)
        for stage, (channels, blocks) in enumerate(zip(a.channels, a.blocks, strict=True)):
            if stage > 0:
                layers.append(_conv(a.channels[stage - 1], channels, a.kernel, 2))
                length = -(-length // 2)
            layers += [Block(channels, a.kernel) for _ in range(blocks)]
        layers += [nn.BatchNorm2d(a.channels[-1]), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        self.place = nn.Parameter(_waves(length, a.channels[-1]))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):  # the input's last digits are fringes
            first = self.layers[0](x.unsqueeze(2).contiguous(memory_format=torch.channels_last))
        maps: Tensor = self.layers[1:](first)
        return maps.squeeze(2).transpose(1, 2) + self.place


class Head(nn.Module):
    """Attention pooling and a small network; ``given`` numbers a sample add to the queries and the features."""

    def __init__(self, a: Architecture, outputs: int, given: int = 0) -> None:
        super().__init__()
        width = a.channels[-1]
        self.queries = a.queries
        self.score = nn.Linear(width, a.queries)
        self.ask = nn.Linear(given, a.queries * width) if given else None
        self.layers = nn.Sequential(
            nn.Linear(a.queries * width + given, a.hidden), nn.ReLU(), nn.Linear(a.hidden, a.hidden), nn.ReLU()
        )
        self.out = nn.Linear(a.hidden, outputs)

    def forward(self, features: Tensor, given: Tensor | None = None) -> Tensor:
        scores = self.score(features)
        if self.ask is not None and given is not None:
            asked = self.ask(given).view(len(features), self.queries, -1)
            scores = scores + features @ asked.transpose(1, 2) / features.shape[2] ** 0.5
        pooled = (scores.softmax(dim=1).transpose(1, 2) @ features).flatten(1)
        joined = pooled if given is None else torch.cat([pooled, given], dim=1)
        logits: Tensor = self.out(self.layers(joined))
        return logits


class Estimator(nn.Module):
    """A network whose ``forward(x, conditions)`` gives coordinates (n, outputs) of the unit cube."""

    def learn(self, x: Tensor, conditions: Tensor, unit: Tensor, clean: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The estimate, and what a network adds to the loss of each sample (n,), if anything.

        Parameters
        ----------
        x, conditions : as for ``forward``.
        unit : (n, outputs + 2) true coordinates of parameters, zero and FWHM.
        clean : (n, points) the noise-free curve as ``xrdml.training.reconstruction.clean_window`` makes it, for a
        decoder.
        """
        return self(x, conditions), None


class Weighted(Estimator):
    """Encoder and one head for all parameters."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        self.encoder = Encoder(a)
        self.head = Head(a, a.outputs)

    def forward(self, x: Tensor, conditions: Tensor | None = None) -> Tensor:
        logits: Tensor = self.head(self.encoder(x))
        return logits.sigmoid()


class Multitask(Weighted):
    """As the weighted network, and from the same features the noise-free curve on the whole window.

    Every place of the sequence decodes the angles that follow it. What the loss adds is the smooth L1 of their
    deviation, in units of the network input.
    """

    def __init__(self, a: Architecture) -> None:
        super().__init__(a)
        self.points = a.points
        angles = a.stem * 2 ** (len(a.channels) - 1)  # of a place
        self.decoder = nn.Sequential(nn.Linear(a.channels[-1], a.hidden), nn.ReLU(), nn.Linear(a.hidden, angles))

    def learn(self, x: Tensor, conditions: Tensor, unit: Tensor, clean: Tensor | None) -> tuple[Tensor, Tensor | None]:
        features = self.encoder(x)
        estimated: Tensor = self.head(features).sigmoid()
        if clean is None:
            return estimated, None
        error = functional.smooth_l1_loss(self.decode(features).float(), clean, beta=BETA, reduction="none")
        return estimated, DECODED * error.mean(dim=1)

    def decode(self, features: Tensor) -> Tensor:
        """The curve (n, points) of features (n, length, channels)."""
        curve: Tensor = self.decoder(features).flatten(1)[:, : self.points]
        return curve


class Attention(Estimator):
    """Self-attention over the feature sequence (arXiv:1706.03762), then one head for depths and one for strains.

    Normalisation comes first in a layer (arXiv:2002.04745), and nothing is dropped: training has noise enough. The
    damage belongs to the strains.
    """

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        width = a.channels[-1]
        depths = [L1, RP1, L2, RP2]
        strains = [column for column in range(a.outputs) if column not in depths]
        self.encoder = Encoder(a)
        layers = [
            nn.TransformerEncoderLayer(width, a.heads, 2 * width, dropout=0.0, batch_first=True, norm_first=True)
            for _ in range(a.layers)
        ]
        self.attention = nn.Sequential(*layers, nn.LayerNorm(width))
        self.depths = Head(a, len(depths))
        self.strains = Head(a, len(strains))
        order = torch.tensor(depths + strains).argsort()
        self.register_buffer("order", order, persistent=False)

    def learn(self, x: Tensor, conditions: Tensor, unit: Tensor, clean: Tensor | None) -> tuple[Tensor, Tensor | None]:
        with sdpa_kernel(SDPBackend.MATH):  # the blocks of the other way cost more than so short a sequence saves
            return super().learn(x, conditions, unit, clean)

    def forward(self, x: Tensor, conditions: Tensor | None = None) -> Tensor:
        features = self.attention(self.encoder(x))
        logits = torch.cat([self.depths(features), self.strains(features)], dim=1)
        return logits[:, self.get_buffer("order")].sigmoid()


class Hierarchical(Estimator):
    """Coarse estimate of all parameters, then a correction of some, in logits; it begins as no correction."""

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        if not a.fine:
            raise ParameterError("a hierarchical model needs parameters to correct; name them with fine")
        self.encoder = Encoder(a)
        self.coarse = Head(a, a.outputs)
        self.fine = Head(a, len(a.fine), given=a.outputs)
        nn.init.zeros_(self.fine.out.weight)
        nn.init.zeros_(self.fine.out.bias)
        self.register_buffer("columns", torch.tensor(a.fine), persistent=False)

    def forward(self, x: Tensor, conditions: Tensor | None = None) -> Tensor:
        features = self.encoder(x)
        logits: Tensor = self.coarse(features)
        correction = self.fine(features.detach(), logits.detach())
        return logits.index_add(1, self.get_buffer("columns"), correction).sigmoid()


class Flow(Estimator):
    """Encoder, a head that knows the user's ranges, and from it a point estimate and a posterior distribution.

    ``forward`` gives the point estimate, the median as the loss wants it; ``posterior`` the distribution of the
    coordinates of parameters, zero and FWHM. Both are places inside the ranges that it is conditioned on.
    """

    def __init__(self, a: Architecture) -> None:
        super().__init__()
        size = a.outputs + len(INSTRUMENT)
        self.encoder = Encoder(a)
        self.trunk = Head(a, a.context, given=2 * size)
        self.point = _point(a)
        self.posterior = Posterior(size, a.context, a.transforms, a.hidden // 2, a.bins)

    def forward(self, x: Tensor, conditions: Tensor) -> Tensor:
        logits: Tensor = self.point(self.context(x, conditions))
        return logits.sigmoid()

    def learn(self, x: Tensor, conditions: Tensor, unit: Tensor, clean: Tensor | None) -> tuple[Tensor, Tensor | None]:
        context = self.context(x, conditions)
        point: Tensor = self.point(context)
        with torch.autocast(x.device.type, enabled=False):
            return point.sigmoid(), -SURPRISE * self.posterior.log_prob(unit, context.float())

    def context(self, x: Tensor, conditions: Tensor) -> Tensor:
        """What conditions the point estimate and the posterior, (n, context)."""
        out: Tensor = self.trunk(self.encoder(x), conditions).relu()
        return out


def hidden_weights(net: nn.Module) -> list[Tensor]:
    """The weights that map features to features: of convolutions after the stem, of heads, of self-attention."""
    found: list[Tensor] = []
    for module in net.modules():
        if isinstance(module, Encoder):
            found += [layer.weight for layer in module.layers[1:].modules() if isinstance(layer, nn.Conv2d)]
        elif isinstance(module, Head):
            found += [layer.weight for layer in module.layers if isinstance(layer, nn.Linear)]
        elif isinstance(module, nn.TransformerEncoderLayer):
            found += [weight for weight in module.parameters() if weight.ndim > 1]
    return found


_CLASSES: dict[Model, type[Estimator]] = {
    Model.WEIGHTED: Weighted,
    Model.HIERARCHICAL: Hierarchical,
    Model.FLOW: Flow,
    Model.MULTITASK: Multitask,
    Model.ATTENTION: Attention,
}


def build(architecture: Architecture) -> Estimator:
    """The untrained network; initial weights come from torch's global random state.

    ``forward(x, conditions)`` takes the window (n, 2, points) and ``xrdml.data.ranges.Ranges.conditions``, which only
    a flow looks at, and gives coordinates (n, outputs) of the unit cube.
    """
    network: Any = _CLASSES[Model(architecture.kind)]
    net: Estimator = network(architecture)
    return net


def _waves(length: int, channels: int) -> Tensor:
    """Sines and cosines over the sequence (length, channels), of up to half a period a place."""
    frequency = torch.pi * torch.arange(1, (channels + 1) // 2 + 1) / ((channels + 1) // 2)
    phase = torch.arange(length)[:, None] * frequency
    return torch.cat([phase.sin(), phase.cos()], dim=1)[:, :channels]


def _point(a: Architecture) -> nn.Module:
    """From the context of a flow to the logits of its point estimate."""
    if a.point == 0:
        return nn.Linear(a.context, a.outputs)
    return nn.Sequential(
        nn.Linear(a.context, a.point),
        nn.ReLU(),
        nn.Linear(a.point, a.point),
        nn.ReLU(),
        nn.Linear(a.point, a.outputs),
    )


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, (1, kernel), (1, stride), (0, kernel // 2))
