"""Attention where every segment but the first continues the first: what each sees of itself, and of the root, are two softmaxes made one.

With logarithms of denominators n_own and n_root, and n = log(e^n_own + e^n_root):

    out = e^(n_own - n) out_own + sum_j e^(s_j - n) v_j        over the keys j of the root        s_j = scale q k_j

The gradient of a part needs the whole's `out` and n only, as that of flash attention does (Dao et al. 2022, https://arxiv.org/abs/2205.14135, appendix B).

T tokens of the stream    t those after the root    V of the root    h heads    k key heads    d head size
"""

from dataclasses import dataclass

import torch
from torch import Tensor

__all__ = ["Root", "has_shared_root"]


def has_shared_root(parents_S: Tensor) -> bool:
    """Whether every segment but the first continues the first, and there are some."""
    return len(parents_S) > 1 and int(parents_S[0]) < 0 and bool((parents_S[1:] == 0).all())


@dataclass(frozen=True, slots=True)
class Root:
    """The first segment, as the others see it."""

    num_tokens: int
    scale: float
    dropout: float
    seed: int

    def join(self, q: Tensor, k: Tensor, v: Tensor, out: Tensor, norms: Tensor) -> None:
        """Make attention to oneself attention to the root as well.

        Args:
            q: (1, h, T, d); `k`, `v`: (1, k, T, d).
            out: (1, T, h, d), and `norms`, (1, T, h), logarithms of denominators: both of each segment alone, changed in place.
        """
        first, heads = self.num_tokens, q.shape[1]
        scores = self._scores(q, k)
        own = norms[0, first:].t()  # (h, t)
        root = torch.logsumexp(scores, -1).view(heads, -1)
        whole = torch.logaddexp(own, root)
        probabilities = self._dropped(scores.sub_(whole.reshape(scores.shape[:2])[..., None]).exp_())
        added = (probabilities @ v[0, :, :first]).view(heads, -1, v.shape[3])
        out[0, first:].mul_((own - whole).exp_().t()[..., None]).add_(added.transpose(0, 1))
        norms[0, first:] = whole.t()

    def add_gradients(
        self, grads: tuple[Tensor, Tensor, Tensor], grad_1Thd: Tensor, q: Tensor, k: Tensor, v: Tensor, out: Tensor, norms: Tensor
    ) -> None:
        """Add to the gradients of q, k and v, (1, T, heads, d) each, what attention to the root gives."""
        first, size = self.num_tokens, q.shape[3]
        scores = self._scores(q, k)
        probabilities = scores.sub_(norms[0, first:].t().reshape(scores.shape[:2])[..., None]).exp_()
        grad = grad_1Thd[0, first:].transpose(0, 1).reshape(len(scores), -1, size)  # heads of one key head side by side
        delta = (grad_1Thd[0, first:] * out[0, first:]).sum(-1).t().reshape(scores.shape[:2])
        grads[2][0, :first] += (self._dropped(probabilities).transpose(1, 2) @ grad).transpose(0, 1)
        of_scores = probabilities * (self._dropped(grad @ v[0, :, :first].transpose(1, 2)) - delta[..., None]) * self.scale
        of_q = (of_scores @ k[0, :, :first]).view(q.shape[1], -1, size)
        grads[0][0, first:] += of_q.transpose(0, 1)
        grads[1][0, :first] += (of_scores.transpose(1, 2) @ self._queries(q, len(scores))).transpose(0, 1)

    def _queries(self, q: Tensor, num_key_heads: int) -> Tensor:
        """Those after the root, the heads of one key head side by side: (k, h / k times t, d)."""
        return q[0, :, self.num_tokens :].reshape(num_key_heads, -1, q.shape[3])

    def _scores(self, q: Tensor, k: Tensor) -> Tensor:
        """(k, h / k times t, V)."""
        return (self._queries(q, k.shape[1]) @ k[0, :, : self.num_tokens].transpose(1, 2)).mul_(self.scale)

    def _dropped(self, x: Tensor) -> Tensor:
        """Numbers of the scores' shape with some of them dropped: the same ones every time."""
        if not self.dropout:
            return x
        kept = torch.empty(x.shape).bernoulli_(1 - self.dropout, generator=torch.Generator().manual_seed(self.seed))
        return x * kept.div_(1 - self.dropout)
