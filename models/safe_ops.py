"""The ATen operations that a file may call: they compute, and touch no file, no process and no memory but their own."""

from __future__ import annotations

from vbp.models.program import CHECKS, NUMBERS, operation

ALLOWED = frozenset({
    # layers
    *("conv1d", "conv2d", "conv3d", "convolution", "conv_transpose2d", "linear", "addmm", "mm", "bmm", "matmul"),
    *("baddbmm", "batch_norm", "layer_norm", "native_layer_norm", "group_norm", "native_group_norm", "instance_norm"),
    *("scaled_dot_product_attention", "einsum", "embedding", "prelu", "_prelu_kernel", "bilinear", "dot", "outer"),
    *("dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout", "native_batch_norm", "cosine_similarity"),
    "_native_batch_norm_legit_no_training",
    # pooling, padding, sampling
    *("max_pool1d", "max_pool2d", "max_pool2d_with_indices", "avg_pool1d", "avg_pool2d", "adaptive_avg_pool1d"),
    *("adaptive_avg_pool2d", "_adaptive_avg_pool2d", "adaptive_max_pool2d", "avg_pool3d", "max_pool3d"),
    *("pad", "constant_pad_nd", "reflection_pad2d", "replication_pad2d", "upsample_nearest2d", "pixel_shuffle"),
    *("upsample_bilinear2d", "upsample_bicubic2d", "pixel_unshuffle", "channel_shuffle", "grid_sampler"),
    *("grid_sampler_2d", "affine_grid_generator", "im2col", "roll", "flip", "rot90"),
    # functions of each number
    *("relu", "relu6", "leaky_relu", "elu", "celu", "selu", "gelu", "silu", "mish", "hardswish", "hardsigmoid"),
    *("hardtanh", "softplus", "sigmoid", "tanh", "atan", "atan2", "sin", "cos", "tan", "asin", "acos"),
    *("abs", "neg", "exp", "expm1", "log", "log1p", "log2", "log_sigmoid", "sqrt", "rsqrt", "square", "pow", "sign"),
    *("reciprocal", "floor", "ceil", "round", "trunc", "frac", "erf", "clamp", "clamp_min", "clamp_max", "clip"),
    *("threshold", "nan_to_num", "logical_not", "isnan", "isfinite", "softmax", "log_softmax", "_softmax"),
    *("_log_softmax", "hardshrink", "softshrink", "sinh", "cosh", "positive", "glu"),
    # arithmetic and comparisons
    *("add", "sub", "subtract", "rsub", "mul", "multiply", "div", "divide", "true_divide", "floor_divide"),
    *("remainder", "fmod", "maximum", "minimum", "addcmul", "addcdiv", "lerp", "where", "eq", "ne", "lt", "le"),
    *("gt", "ge", "logical_and", "logical_or", "bitwise_and", "bitwise_or", "bitwise_not", "masked_fill"),
    # reductions
    *("mean", "sum", "prod", "amax", "amin", "max", "min", "argmax", "argmin", "var", "std", "var_mean"),
    *("std_mean", "norm", "linalg_vector_norm", "cumsum", "logsumexp", "any", "all", "topk", "sort", "argsort"),
    # shapes
    *("view", "_unsafe_view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "permute", "transpose"),
    *("t", "swapaxes", "movedim", "expand", "expand_as", "view_as", "reshape_as", "repeat", "tile", "cat"),
    *("concat", "concatenate", "stack", "hstack", "vstack", "split", "split_with_sizes", "chunk", "unbind", "slice"),
    *("narrow", "select", "index_select", "index", "gather", "contiguous", "clone", "detach", "alias", "lift"),
    *("lift_fresh", "lift_fresh_copy", "to", "_to_copy", "type_as", "slice_scatter", "select_scatter", "copy"),
    *("tensor_split", "repeat_interleave", "broadcast_to", "meshgrid", "diagonal", "tril", "triu", "mT"),
    # numbers made on the way
    *("zeros", "ones", "full", "zeros_like", "ones_like", "full_like", "empty", "empty_like", "arange", "linspace"),
    *("new_zeros", "new_ones", "new_full", "new_empty", "eye", "scalar_tensor", "fill", "zero", "sym_size"),
    *("sym_numel", "item"),
})  # fmt: skip


def allowed(op: str) -> bool:
    """May a file call this? In place only on what it is given as `self`."""
    if op in NUMBERS:
        return True
    parts = op.split(".")
    if len(parts) != 3 or parts[0] != "aten" or not all(part.isidentifier() for part in parts):
        return False
    kind = parts[1]
    if kind in CHECKS:
        return True
    if kind.removesuffix("_") not in ALLOWED and kind not in ALLOWED:
        return False
    try:
        arguments = operation(op)._schema.arguments
    except AttributeError:
        return False
    return not any(a.alias_info is not None and a.alias_info.is_write and a.name != "self" for a in arguments)
