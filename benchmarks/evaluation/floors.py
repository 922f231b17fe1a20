"""Floor of an evaluation: five matrix products and the exponentials, in several libraries, as fast as each can.

The products are X W1, Z W2, delta2' Z, delta2 W2' and delta1' X; every gradient of J needs them. Each library computes
them into existing arrays if it can, on all rows at once and in chunks (one product after another for each chunk, which
then stays in the cache; gradients of the weights are added up). The exponentials are the logistics of M + D
pre-activations for each of N samples.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from benchmarks.evaluation.timing import Calls

__all__ = ["JaxFloor", "NumpyFloor", "ScipyFloor", "TorchFloor"]

CHUNKS = (512, 1024, 2048, 4096)
FLOATS_IN_CACHE = 2**16  # pre-activations in a piece: 256 KiB


def arrays(n: int, d: int, m: int) -> dict[str, np.ndarray]:
    """Make inputs, and random arrays in place of Z and the deltas, in float32."""
    rng = np.random.default_rng(0)
    shapes = {"X": (n, d), "W1": (d, m), "W2": (m, d), "Z": (n, m), "delta2": (n, d), "delta1": (n, m)}
    return {name: rng.uniform(-1, 1, shape).astype(np.float32) for name, shape in shapes.items()}


def pieces(n: int, size: int, first: int = 0) -> list[slice]:
    """Cut the rows first ... n into chunks."""
    return [slice(start, min(start + size, n)) for start in range(first, n, size)]


def shared_out(
    make: Callable[[slice, int], Callable[[], None]], n: int, python_threads: int
) -> Callable[[int], Callable[[], object]]:
    """Return a function of the chunk size that makes the call for all rows, shared among the Python threads.

    Each share has its own arrays. Adding up the gradients of the shares is left out, which favors the floor.
    """
    if python_threads == 1:
        return lambda size: make(slice(0, n), size)
    pool = ThreadPoolExecutor(python_threads)
    shares = pieces(n, -(-n // python_threads))

    def products(size: int) -> Callable[[], object]:
        calls = [make(share, size) for share in shares]
        return lambda: list(pool.map(lambda call: call(), calls))

    return products


class NumpyFloor:
    """NumPy's BLAS; logistics in place, in one Python thread and in one per core.

    Parameters
    ----------
    python_threads : int
        Number of threads that share the rows; more than one is meant for a BLAS with one thread.
    """

    def __init__(self, python_threads: int = 1) -> None:
        self.python_threads = python_threads

    def calls(self, n: int, d: int, m: int) -> Calls:
        """See `Source`."""
        A = arrays(n, d, m)
        W1, W2, W2T = A["W1"], A["W2"], np.ascontiguousarray(A["W2"].T)

        def make(share: slice, size: int) -> Callable[[], None]:
            rows = pieces(share.stop, size, share.start)
            z, y, back = (np.empty((min(size, n), width), np.float32) for width in (m, d, m))
            g1, g2 = np.empty((d, m), np.float32), np.empty((m, d), np.float32)
            s1, s2 = np.zeros_like(g1), np.zeros_like(g2)

            def call() -> None:
                for piece in rows:
                    x, zc, d2, d1 = (A[name][piece] for name in ("X", "Z", "delta2", "delta1"))
                    k = len(x)
                    np.matmul(x, W1, out=z[:k])
                    np.matmul(zc, W2, out=y[:k])
                    np.matmul(zc.T, d2, out=g2)
                    np.matmul(d2, W2T, out=back[:k])
                    np.matmul(x.T, d1, out=g1)
                    if len(rows) > 1:
                        np.add(s1, g1, out=s1)
                        np.add(s2, g2, out=s2)

            return call

        a = np.random.default_rng(1).normal(0, 2, n * (m + d)).astype(np.float32)
        out, threads = np.empty_like(a), max(int(os.environ["OMP_NUM_THREADS"]), self.python_threads)
        pool = ThreadPoolExecutor(threads)

        def logistics(part: slice) -> None:
            for piece in pieces(part.stop - part.start, FLOATS_IN_CACHE):
                place = out[part.start + piece.start : part.start + piece.stop]
                np.negative(a[part.start + piece.start : part.start + piece.stop], out=place)
                np.exp(place, out=place)
                np.add(place, 1, out=place)
                np.reciprocal(place, out=place)

        parts = pieces(len(a), -(-len(a) // threads))
        sizes = [n, *(size for size in CHUNKS if size < n)]
        products = shared_out(make, n, self.python_threads)
        return {f"products/{size}": products(size) for size in sizes} | {
            "logistics/one thread": lambda: logistics(slice(0, len(a))),
            f"logistics/{threads} threads": lambda: list(pool.map(logistics, parts)),
        }


class ScipyFloor:
    """SciPy's BLAS: sgemm on column-major arrays, the transposes of the rows."""

    def calls(self, n: int, d: int, m: int) -> Calls:
        """See `Source`."""
        from scipy.linalg.blas import sgemm

        A = arrays(n, d, m)
        T = {name: array.T for name, array in A.items()}  # column-major views
        W1, W2 = T["W1"], T["W2"]

        def products(size: int) -> Callable[[], None]:
            rows = pieces(n, size)
            width = min(size, n)
            z, y, back = (np.empty((columns, width), np.float32, order="F") for columns in (m, d, m))
            s1, s2 = np.zeros((m, d), np.float32, order="F"), np.zeros((d, m), np.float32, order="F")

            def call() -> None:
                for piece in rows:
                    x, zc, d2, d1 = (T[name][:, piece] for name in ("X", "Z", "delta2", "delta1"))
                    k = x.shape[1]
                    sgemm(1.0, W1, x, c=z[:, :k], overwrite_c=1)
                    sgemm(1.0, W2, zc, c=y[:, :k], overwrite_c=1)
                    sgemm(1.0, d2, zc, beta=1.0, c=s2, trans_b=1, overwrite_c=1)
                    sgemm(1.0, W2, d2, c=back[:, :k], trans_a=1, overwrite_c=1)
                    sgemm(1.0, d1, x, beta=1.0, c=s1, trans_b=1, overwrite_c=1)

            return call

        return {f"products/{size}": products(size) for size in (n, *(size for size in CHUNKS if size < n))}


class TorchFloor:
    """PyTorch's BLAS (MKL, or oneDNN if it was built with that) and its vectorized sigmoid.

    Parameters
    ----------
    python_threads : int
        As for `NumpyFloor`.
    """

    def __init__(self, python_threads: int = 1) -> None:
        self.python_threads = python_threads

    def calls(self, n: int, d: int, m: int) -> Calls:
        """See `Source`."""
        import torch

        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        A = {name: torch.from_numpy(array) for name, array in arrays(n, d, m).items()}
        W1, W2, W2T = A["W1"], A["W2"], A["W2"].T.contiguous()

        def make(share: slice, size: int) -> Callable[[], None]:
            rows = pieces(share.stop, size, share.start)
            chunks = [[A[name][piece] for name in ("X", "Z", "delta2", "delta1")] for piece in rows]
            z, y, back = (torch.empty(min(size, n), width) for width in (m, d, m))
            s1, s2 = torch.zeros(d, m), torch.zeros(m, d)

            def call() -> None:
                for x, zc, d2, d1 in chunks:
                    k = len(x)
                    torch.mm(x, W1, out=z[:k])
                    torch.mm(zc, W2, out=y[:k])
                    s2.addmm_(zc.T, d2)
                    torch.mm(d2, W2T, out=back[:k])
                    s1.addmm_(x.T, d1)

            return call

        a = torch.randn(n * (m + d)) * 2
        out = torch.empty_like(a)
        cut = [(a[piece], out[piece]) for piece in pieces(len(a), 8 * FLOATS_IN_CACHE)]

        def chunked() -> None:
            for part, place in cut:
                torch.sigmoid(part, out=place)

        products = shared_out(make, n, self.python_threads)
        return {f"products/{size}": products(size) for size in (n, *(size for size in CHUNKS if size < n))} | {
            "logistics/whole": lambda: torch.sigmoid(a, out=out),
            "logistics/chunked": chunked,
        }


class JaxFloor:
    """XLA's own products and logistic, compiled."""

    def calls(self, n: int, d: int, m: int) -> Calls:
        """See `Source`."""
        import jax
        import jax.numpy as jnp

        A = {name: jnp.asarray(array) for name, array in arrays(n, d, m).items()}

        def five(x, zc, d2, d1, W1, W2):
            return x @ W1, zc @ W2, zc.T @ d2, d2 @ W2.T, x.T @ d1

        def products(size: int) -> Callable[[], object]:
            if size >= n:
                compiled = jax.jit(five)
                operands = [A[name] for name in ("X", "Z", "delta2", "delta1", "W1", "W2")]
                return lambda: jax.block_until_ready(compiled(*operands))
            whole = n // size  # the products of the last, shorter chunk are computed separately
            cut = [A[name][: whole * size].reshape(whole, size, -1) for name in ("X", "Z", "delta2", "delta1")]
            rest = [A[name][whole * size :] for name in ("X", "Z", "delta2", "delta1")]

            @jax.jit
            def chunked(cut, rest, W1, W2):
                def step(sums, chunk):
                    z, y, g2, back, g1 = five(*chunk, W1, W2)
                    # Return z, y and back: XLA would not compute unused values.
                    return (sums[0] + g1, sums[1] + g2), (z, y, back)

                sums = (jnp.zeros_like(W1), jnp.zeros_like(W2))
                return jax.lax.scan(step, sums, tuple(cut)), five(*rest, W1, W2)

            return lambda: jax.block_until_ready(chunked(cut, rest, A["W1"], A["W2"]))

        a = jnp.asarray(np.random.default_rng(1).normal(0, 2, n * (m + d)).astype(np.float32))
        logistic = jax.jit(jax.nn.sigmoid)
        return {f"products/{size}": products(size) for size in (n, *(size for size in CHUNKS if size < n))} | {
            "logistics/whole": lambda: jax.block_until_ready(logistic(a))
        }
