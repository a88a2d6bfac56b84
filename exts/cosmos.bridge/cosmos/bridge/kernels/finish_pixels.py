"""The last pass over pixels of a picture, sixteen at a time, so that a processor takes one instruction for all of them.

Flakes lie in six layers from near and big to far and small, streaks of rain in five; places are in picture heights. The
noise is that of ``surface_noise``.
"""

import warp as wp


@wp.func_native("""
    #if defined(__CUDA_ARCH__)
    const int lanes = 1;
    #else
    const int lanes = 16;
    #endif
    typedef unsigned int bits;
    const int height = picture_out.shape[1], width = picture_out.shape[2];
    const float across = (float)height / (float)width, glint = 0.15f;
    const float snow = strengths.data[0], rain = strengths.data[1], light = strengths.data[2];
    const float noise = strengths.data[3], vignette = strengths.data[4];
    auto value = [](bits x, bits y, bits z, bits own) {
        bits h = (x * 73856093u + y * 19349663u + z * 83492791u) ^ own;
        h = (h ^ (h >> 16)) * 2146121005u;
        h = (h ^ (h >> 15)) * 73244475u;
        return (float)(int)((h ^ (h >> 16)) >> 8) * 5.9604645e-8f;
    };
    auto within = [](float low, float high, float x) { return x < low ? low : x > high ? high : x; };
    // Share of what falls that is in the air there, between the middles of four cells of the nearest layer.
    auto in_the_air = [&](int t, float u, float v, float distance) {
        const int rows = falling.shape[2], columns = falling.shape[3], last = falling.shape[1] - 1;
        int layer = (int)floorf(logf(distance / first_layer) / logf(layer_ratio) + 0.5f);
        layer = layer < 0 ? 0 : layer > last ? last : layer;
        const float x = within(0.0f, (float)(columns - 1), u * across * (float)columns - 0.5f);
        const float y = within(0.0f, (float)(rows - 1), v * (float)rows - 0.5f);
        const int most_left = columns > 2 ? columns - 2 : 0, most_top = rows > 2 ? rows - 2 : 0;
        const int left = (int)x < most_left ? (int)x : most_left, top = (int)y < most_top ? (int)y : most_top;
        const int right = left + 1 < columns ? left + 1 : columns - 1, bottom = top + 1 < rows ? top + 1 : rows - 1;
        const unsigned char* plane = (const unsigned char*)falling.data + (size_t)t * falling.strides[0]
            + (size_t)layer * falling.strides[1];
        auto share = [&](int row, int column) {
            return (float)plane[(size_t)row * falling.strides[2] + (size_t)column * falling.strides[3]];
        };
        const float fx = x - (float)left, fy = y - (float)top;
        const float above = share(top, left) * (1.0f - fx) + share(top, right) * fx;
        const float below = share(bottom, left) * (1.0f - fx) + share(bottom, right) * fx;
        return (above * (1.0f - fy) + below * fy) / 255.0f;
    };
    for (int at = begin; at < end;) {
        const int row = at / width, first = at - row * width, t = row / height, y = row - t * height;
        const int stop = first + end - at < width ? first + end - at : width;
        const size_t line = (size_t)at - first;
        unsigned char* shown = (unsigned char*)picture_out.data + 3 * line;
        const unsigned char* before = (const unsigned char*)source.data + 3 * line;
        const float* deep = (const float*)depth.data + line;
        const float* stay = (const float*)kept.data + line;
        const float v = ((float)y + 0.5f) / (float)height, time = times.data[t];
        const float diagonal = (float)width * (float)width + (float)height * (float)height;
        const float down = 2.0f * ((float)y + 0.5f) - (float)height;
        for (int block = first; block < stop; block += lanes) {
            const int count = stop - block < lanes ? stop - block : lanes;
            float u[lanes], far[lanes], fallen[lanes], run[lanes], shade[lanes], stays[lanes];
            for (int k = 0; k < lanes; ++k) {
                u[k] = ((float)(block + k) + 0.5f) / (float)height;
                far[k] = 1.0e6f, fallen[k] = run[k] = stays[k] = 0.0f;
                const float side = 2.0f * ((float)(block + k) + 0.5f) - (float)width;
                const float rim = (side * side + down * down) / diagonal;
                shade[k] = 1.0f - vignette * 0.6f * rim * rim;
            }
            for (int k = 0; has_depth && k < count; ++k) {
                const float z = deep[block + k];
                far[k] = z > 0.0f && z < 1.0e6f ? z : 1.0e6f;
            }
            for (int k = 0; has_kept && k < count; ++k) stays[k] = within(0.0f, 1.0f, stay[block + k]);
            // What shows more of itself than any layer before it covers what is behind, by what of it is in the air.
            auto cover = [&](float* covered, const float* found, float distance) {
                int some = 0;
                for (int k = 0; k < lanes; ++k) some |= found[k] > covered[k];
                if (!some) return;
                for (int k = 0; k < count; ++k) {
                    if (!(found[k] > covered[k])) continue;
                    const float there = found[k] * (falling.shape[0] ? in_the_air(t, u[k], v, distance) : 1.0f);
                    covered[k] = there > covered[k] ? there : covered[k];
                }
            };
            float distance = 1.8f;
            for (int layer = 0; snow > 0.0f && layer < 6; ++layer, distance *= 1.6f) {
                const float cell = 0.24f / distance + 0.014f, blur = 0.5f + 0.6f / distance;
                const float sway = 0.25f * sinf(time * 1.7f + (float)layer * 2.1f);
                const float drift = (float)layer * 7.31f + time * 0.4f + sway;
                const float lies = v / cell - time * 1.5f / (distance * cell) + (float)layer * 3.77f;
                const float under = floorf(lies), part = lies - under;
                const bits place = (bits)(int)under;
                float found[lanes];
                for (int k = 0; k < lanes; ++k) {
                    const float x = u[k] / cell + drift, left = floorf(x);
                    const bits column = (bits)(int)left;
                    const float size = 0.028f + 0.05f * value(column, place, layer + 48, seed);
                    const float dx = x - left - 0.25f - 0.5f * value(column, place, layer + 16, seed);
                    const float dy = (part - 0.25f - 0.5f * value(column, place, layer + 32, seed)) * 0.7f;
                    const float near = sqrtf(dx * dx + dy * dy) / size;
                    const float flake = 0.75f * within(0.0f, 1.0f, (1.0f - near) / blur + 0.5f);
                    const bool there = value(column, place, layer, seed) < 0.6f * snow && distance < far[k];
                    found[k] = there ? flake : 0.0f;
                }
                cover(fallen, found, distance);
            }
            distance = 1.6f;
            for (int layer = 0; rain > 0.0f && layer < 5; ++layer, distance *= 1.9f) {
                const float length = 0.34f / distance + 0.045f, gap = 0.05f / distance + 0.012f;
                const float thin = 0.0016f / distance + 0.0008f, passed = time * 4.5f / (length * distance);
                float found[lanes];
                for (int k = 0; k < lanes; ++k) {
                    const float x = (u[k] + 0.10f * v) / gap + (float)layer * 11.7f, left = floorf(x);
                    const bits column = (bits)(int)left;
                    const float lies = v / length - passed + value(column, layer, 5u, seed) * 9.0f;
                    const float under = floorf(lies), along = lies - under;
                    const bits place = (bits)(int)under;
                    float dx = x - left - 0.2f - 0.6f * value(column, place, layer + 16, seed);
                    dx = (dx < 0.0f ? -dx : dx) * gap;
                    const float fade = within(0.0f, 1.0f, 4.0f * along * (1.0f - along));
                    const float strength = 0.10f + 0.16f * value(column, place, layer + 32, seed);
                    const float streak = strength * fade * within(0.0f, 1.0f, 1.6f - dx / thin);
                    const bool there = value(column, place, layer, seed) < 0.5f * rain && distance < far[k];
                    found[k] = there ? streak : 0.0f;
                }
                cover(run, found, distance);
            }
            float level[3][lanes];
            for (int k = 0; k < lanes; ++k) level[0][k] = level[1][k] = level[2][k] = 0.0f;
            for (int k = 0; k < count; ++k)
                for (int c = 0; c < 3; ++c) level[c][k] = (float)shown[3 * (block + k) + c];
            for (int c = 0; c < 3; ++c) {
                const bits draw = (bits)((first_frame + t) * 8 + c);
                // What falls is lit as what is behind it is, where that is brighter than the hour alone tells.
                for (int k = 0; k < lanes; ++k) {
                    float here = level[c][k], lit = here + glint * (255.0f - here), white = light * 255.0f;
                    here += ((white > lit ? white : lit) - here) * fallen[k];
                    lit = here + glint * (255.0f - here), white = light * 255.0f * 0.85f;
                    here += ((white > lit ? white : lit) - here) * run[k];
                    level[c][k] = here * shade[k];
                }
                // Two draws make a triangle: mean 0, no long tail; dark places are noisier, as after a tone curve.
                for (int k = 0; noise > 0.0f && k < lanes; ++k) {
                    const float grain = value(block + k, y, draw, seed) + value(block + k, y, draw, seed + 977u) - 1.0f;
                    level[c][k] += grain * noise * (9.0f + 12.0f * (1.0f - level[c][k] / 255.0f));
                }
            }
            for (int k = 0; has_kept && k < count; ++k)
                for (int c = 0; c < 3; ++c)
                    level[c][k] += ((float)before[3 * (block + k) + c] - level[c][k]) * stays[k];
            for (int k = 0; k < count; ++k)
                for (int c = 0; c < 3; ++c)
                    shown[3 * (block + k) + c] = (unsigned char)(int)(within(0.0f, 255.0f, level[c][k]) + 0.5f);
        }
        at += stop - first;
    }
""")
def finish_pixels(
    begin: wp.int32,
    end: wp.int32,
    source: wp.array(dtype=wp.uint8, ndim=4),
    depth: wp.array(dtype=wp.float32, ndim=3),
    kept: wp.array(dtype=wp.float32, ndim=3),
    falling: wp.array(dtype=wp.uint8, ndim=4),
    has_depth: wp.int32,
    has_kept: wp.int32,
    times: wp.array(dtype=wp.float32, ndim=1),
    first_frame: wp.int32,
    strengths: wp.array(dtype=wp.float32, ndim=1),
    seed: wp.uint32,
    first_layer: wp.float32,
    layer_ratio: wp.float32,
    picture_out: wp.array(dtype=wp.uint8, ndim=4),
):
    """Draw the last pass onto some pixels; all arrays are contiguous.

    Args:
        begin: The first pixel, of all frames in a row.
        end: The one after the last.
        source: The clip's own sRGB, shape [F, H, W, 3].
        depth: Distance to the image plane [m], shape [F, H, W].
        kept: How much of the source stays, in [0, 1], shape [F, H, W].
        falling: Share of what falls that is in the air, by layers and cells, shape [F, S, h, w]; empty where it falls
            everywhere.
        has_depth: Whether there is depth.
        has_kept: Whether there is ``kept``.
        times: Of each frame [s], shape [F].
        first_frame: Number of the first frame; decides the grain.
        strengths: Of snow, rain, light, noise and vignette, as in ``Finish``.
        seed: Decides flakes, streaks and grain.
        first_layer: Depth of the first layer of ``falling`` [m].
        layer_ratio: How many times as deep each next one is.
        picture_out: Painted sRGB, shape [F, H, W, 3].
    """


__all__ = ["finish_pixels"]
