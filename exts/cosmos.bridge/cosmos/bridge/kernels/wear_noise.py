"""The noise of the wear hints, sixteen pixels at a time, so that a processor takes one instruction for all of them.

The noise is that of ``surface_noise``, to rounding.
"""

import warp as wp


@wp.func_native("""
    #if defined(__CUDA_ARCH__)
    const int lanes = 1;
    #else
    const int lanes = 16;
    #endif
    typedef unsigned int bits;
    typedef float row[lanes];
    const int width = hints_out.shape[2], height = hints_out.shape[1];
    auto mixed = [](bits h) {
        h = (h ^ (h >> 16)) * 2146121005u;
        h = (h ^ (h >> 15)) * 73244475u;
        return h ^ (h >> 16);
    };
    auto unit = [](bits h) { return (float)(int)(h >> 8) * 5.9604645e-8f; };
    for (int block = begin; block < end; block += lanes) {
        float p[3][lanes], here[3][lanes], side[lanes], upward[lanes], luck[lanes], tint[lanes];
        bits tag[lanes], world[lanes];
        float* hints[lanes];
        int some = 0;
        for (int k = 0; k < lanes; ++k) {
            const int i = block + k < end ? block + k : end - 1;
            const int row = i / width, x = i - row * width, t = row / height, y = row - t * height;
            float* out = (float*)((char*)hints_out.data + (size_t)t * hints_out.strides[0]
                + (size_t)y * hints_out.strides[1] + (size_t)x * hints_out.strides[2]);
            hints[k] = out;
            tag[k] = 0u, world[k] = seed;
            if (has_ids) {
                const int index = *(const int*)((const char*)ids.data + (size_t)t * ids.strides[0]
                    + (size_t)y * ids.strides[1] + (size_t)x * ids.strides[2]);
                if (index >= 0 && index < tags.shape[0]) tag[k] = tags.data[index];
            }
            side[k] = out[3];
            upward[k] = out[7];
            some |= side[k] >= 0.0f;
            for (int c = 0; c < 3; ++c) {
                p[c][k] = side[k] >= 0.0f ? out[c] : 0.0f;
                here[c][k] = side[k] >= 0.0f ? out[4 + c] : 0.0f;
            }
        }
        if (!some) {
            for (int k = 0; k < lanes; ++k)
                for (int c = 0; c < 9; ++c) hints[k][c] = 0.0f;
            continue;
        }
        for (int k = 0; k < lanes; ++k) {
            tag[k] = mixed(tag[k] ^ (seed * 747796405u));
            luck[k] = unit(tag[k]);
            tint[k] = unit(mixed(tag[k] + 1u)) - 0.5f;
            p[0][k] += luck[k] * 37.0f, p[1][k] += tint[k] * 53.0f, p[2][k] += luck[k] * 11.0f;
        }
        float found[9][lanes];
        // Octaves of value noise of points scaled by each axis, their footprint by another factor.
        auto noise = [&](int channel, const row* at, float sx, float sy, float sz, float wide, int octaves,
                         const bits* key, bits shift) {
            float total[lanes], weight = 0.5f, norm = 0.0f, frequency = 1.0f;
            for (int k = 0; k < lanes; ++k) total[k] = 0.0f;
            for (int octave = 0; octave < octaves; ++octave) {
                float fade[lanes];
                int seen = 0;
                for (int k = 0; k < lanes; ++k) {
                    const float much = 1.5f - 2.0f * (side[k] * wide) * frequency;
                    fade[k] = much < 0.0f ? 0.0f : much > 1.0f ? 1.0f : much;
                    seen |= fade[k] > 0.0f;
                }
                for (int k = 0; seen && k < lanes; ++k) {
                    const float px = at[0][k] * sx * frequency, py = at[1][k] * sy * frequency;
                    const float pz = at[2][k] * sz * frequency;
                    const float fx = floorf(px), fy = floorf(py), fz = floorf(pz);
                    float u = px - fx, v = py - fy, w = pz - fz;
                    u = u * u * (3.0f - 2.0f * u), v = v * v * (3.0f - 2.0f * v), w = w * w * (3.0f - 2.0f * w);
                    const bits x0 = (bits)(int)fx * 73856093u, x1 = x0 + 73856093u;
                    const bits y0 = (bits)(int)fy * 19349663u, y1 = y0 + 19349663u;
                    const bits z0 = (bits)(int)fz * 83492791u, z1 = z0 + 83492791u;
                    const bits own = key[k] + shift + (bits)octave * 1013u;
                    const float o = 1.0f - u;
                    const float a = unit(mixed((x0 + y0 + z0) ^ own)) * o + unit(mixed((x1 + y0 + z0) ^ own)) * u;
                    const float b = unit(mixed((x0 + y1 + z0) ^ own)) * o + unit(mixed((x1 + y1 + z0) ^ own)) * u;
                    const float c = unit(mixed((x0 + y0 + z1) ^ own)) * o + unit(mixed((x1 + y0 + z1) ^ own)) * u;
                    const float d = unit(mixed((x0 + y1 + z1) ^ own)) * o + unit(mixed((x1 + y1 + z1) ^ own)) * u;
                    const float value = (a * (1.0f - v) + b * v) * (1.0f - w) + (c * (1.0f - v) + d * v) * w;
                    total[k] += weight * fade[k] * (value - 0.5f);
                }
                norm += weight;
                weight *= 0.5f;
                frequency *= 2.03f;
            }
            for (int k = 0; k < lanes; ++k) found[channel][k] = total[k] / norm;
        };
        auto within = [](float low, float high, float x) { return x < low ? low : x > high ? high : x; };
        auto step = [&](float low, float high, float x) {
            const float t = within(0.0f, 1.0f, (x - low) / (high - low));
            return t * t * (3.0f - 2.0f * t);
        };
        // Sums of octaves stay near their mean.
        auto spread = [&](int channel, float contrast) {
            for (int k = 0; k < lanes; ++k)
                found[channel][k] = contrast * within(-1.0f, 1.0f, found[channel][k] * 3.5f);
        };
        const float up = y_up ? 0.35f : 5.0f, along = y_up ? 5.0f : 0.35f;
        noise(2, p, 0.9f, 0.9f, 0.9f, 0.9f, 4, tag, 0u);
        noise(3, p, 11.0f, 11.0f, 11.0f, 11.0f, 4, tag, 5u);
        noise(4, p, 5.0f, up, along, 5.0f, 3, tag, 9u);
        if (snow > 0.0f) {
            noise(5, here, 1.6f, 1.6f, 1.6f, 1.6f, 4, world, 81u);
            noise(6, here, 0.33f, 0.33f, 0.33f, 0.33f, 3, world, 91u);
            const float need = 0.92f - 0.72f * snow, some_snow = snow < 0.125f ? 8.0f * snow : 1.0f;
            for (int k = 0; k < lanes; ++k) {
                const float drift = found[5][k] + 0.5f, patch = found[6][k] + 0.5f;
                const float level = upward[k] * 0.62f + 0.42f * drift + 0.30f * patch - 0.15f;
                found[8][k] = step(need, need + 0.22f, level) * step(0.15f, 0.45f, upward[k]) * some_snow;
            }
        }
        if (wet) noise(7, here, 0.55f, 0.55f, 0.55f, 0.55f, 4, world, 61u);
        for (int k = 0; k < lanes; ++k) {
            if (!(snow > 0.0f)) found[5][k] = found[6][k] = found[8][k] = 0.0f;
            if (!wet) found[7][k] = 0.0f;
        }
        spread(2, stain);
        for (int c = 3; c < 8; ++c) spread(c, 1.0f);
        for (int k = 0; k < lanes; ++k) {
            found[0][k] = luck[k] * 2.0f - 1.0f, found[1][k] = tint[k] * 2.0f;
        }
        for (int k = 0; k < lanes && block + k < end; ++k)
            for (int c = 0; c < 9; ++c) hints[k][c] = side[k] >= 0.0f ? found[c][k] : 0.0f;
    }
""")
def wear_noise(
    begin: wp.int32,
    end: wp.int32,
    ids: wp.array(dtype=wp.uint32, ndim=3),
    has_ids: wp.int32,
    tags: wp.array(dtype=wp.uint32, ndim=1),
    y_up: wp.int32,
    wet: wp.int32,
    snow: wp.float32,
    seed: wp.uint32,
    stain: wp.float32,
    hints_out: wp.array(dtype=wp.float32, ndim=4),
):
    """Fill the wear hints of some pixels, which hold where their noise lies.

    Args:
        begin: The first pixel, of all frames in a row.
        end: The one after the last.
        ids: Instance ids, shape [T, H, W].
        has_ids: Whether there are any.
        tags: Number of each id, shape [N].
        y_up: Whether +Y is up; else +Z.
        wet: Whether puddles are wanted.
        snow: How much snow lies, in [0, 1]; its channels are 0 where none does.
        seed: Moves everything.
        stain: Contrast of the coarse noise (``STAIN`` of ``surface_noise``).
        hints_out: Hints, shape [T, H, W, 9]. On the way in, channels 0 to 2 are the point on its instance [m], 3 the
            side of the pixel there [m], below 0 where there is no surface, 4 to 6 the point in the world [m], 7 the
            upward part of the normal.
    """


__all__ = ["wear_noise"]
