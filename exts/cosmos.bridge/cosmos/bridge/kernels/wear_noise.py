"""The wear hints, sixteen pixels of a row at a time, so that a processor takes one instruction for all of them.

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
    const size_t across = depth.strides[2] / sizeof(float);
    for (int block = begin, count; block < end; block += count) {
        const int line = block / width, first = block - line * width, t = line / height, y = line - t * height;
        count = end - block < width - first ? end - block : width - first;
        count = count < lanes ? count : lanes;
        float p[3][lanes], here[3][lanes], n[3][lanes], side[lanes], upward[lanes], luck[lanes], tint[lanes];
        bits tag[lanes], world[lanes];
        int posed[lanes], some = 0;
        char* out = (char*)hints_out.data + (size_t)t * hints_out.strides[0] + (size_t)y * hints_out.strides[1];
        auto hints = [&](int k) { return (float*)(out + (size_t)(first + k) * hints_out.strides[2]); };
        const float* deep = (const float*)((const char*)depth.data + (size_t)t * depth.strides[0]
            + (size_t)y * depth.strides[1]) + first * across;
        for (int k = 0; k < lanes; ++k) {
            tag[k] = 0u, world[k] = seed, posed[k] = -1, side[k] = -1.0f;
            n[0][k] = n[1][k] = n[2][k] = 0.0f;
        }
        for (int k = 0; k < count; ++k) {
            const float z = deep[(size_t)k * across];
            side[k] = z > 0.0f && z < 1.0e9f ? z : -1.0f;
            some |= side[k] > 0.0f;
            n[0][k] = hints(k)[0], n[1][k] = hints(k)[1], n[2][k] = hints(k)[2];
            if (!has_normals) continue;
            const float* given = (const float*)((const char*)normals.data + (size_t)t * normals.strides[0]
                + (size_t)y * normals.strides[1] + (size_t)(first + k) * normals.strides[2]);
            const size_t next = normals.strides[3] / sizeof(float);
            const float a = given[0], b = given[next], c = given[2 * next];
            if (a * a + b * b + c * c > 0.25f) n[0][k] = a, n[1][k] = b, n[2][k] = c;
        }
        for (int k = 0; has_ids && k < count; ++k) {
            const int index = *(const int*)((const char*)ids.data + (size_t)t * ids.strides[0]
                + (size_t)y * ids.strides[1] + (size_t)(first + k) * ids.strides[2]);
            if (index >= 0 && index < tags.shape[0]) tag[k] = tags.data[index], posed[k] = index;
        }
        const wp::mat_t<4, 4, wp::float32>& pose = cam_to_world.data[t];
        const float fx = lenses.data[t][0], cx = lenses.data[t][2];
        const float ry = (lenses.data[t][3] - (float)y - 0.5f) / lenses.data[t][1];
        float to[3][3], eye[3];
        for (int r = 0; r < 3; ++r) {
            for (int c = 0; c < 3; ++c) to[r][c] = pose.data[r][c];
            eye[r] = pose.data[r][3];
        }
        for (int k = 0; k < lanes; ++k) {
            const float rx = ((float)(first + k) + 0.5f - cx) / fx, stretch = rx * rx + ry * ry + 1.0f;
            const float vx = to[0][0] * rx + to[0][1] * ry - to[0][2];
            const float vy = to[1][0] * rx + to[1][1] * ry - to[1][2];
            const float vz = to[2][0] * rx + to[2][1] * ry - to[2][2];
            const float z = side[k] > 0.0f ? side[k] : 0.0f;
            p[0][k] = eye[0] + vx * z, p[1][k] = eye[1] + vy * z, p[2][k] = eye[2] + vz * z;
            here[0][k] = p[0][k] - anchor[0], here[1][k] = p[1][k] - anchor[1], here[2][k] = p[2][k] - anchor[2];
            const float squares = n[0][k] * n[0][k] + n[1][k] * n[1][k] + n[2][k] * n[2][k];
            const float unit = squares > 0.0f ? 1.0f / sqrtf(squares) : 0.0f;
            float cosine = (n[0][k] * vx + n[1][k] * vy + n[2][k] * vz) * unit / sqrtf(stretch);
            cosine = cosine < 0.0f ? -cosine : cosine;
            cosine = cosine > 0.05f ? cosine : 0.05f;
            upward[k] = (y_up ? n[1][k] : n[2][k]) * unit;
            side[k] = side[k] > 0.0f ? z / fx / sqrtf(cosine) : -1.0f;
        }
        for (int k = 0; k < count; ++k) {
            if (posed[k] < 0) {
                for (int c = 0; c < 3; ++c) p[c][k] = here[c][k];
                continue;
            }
            const wp::mat_t<4, 4, wp::float32>& own
                = world_to_instance.data[(size_t)t * world_to_instance.shape[1] + posed[k]];
            const float x = p[0][k], y = p[1][k], z = p[2][k];
            for (int c = 0; c < 3; ++c)
                p[c][k] = own.data[c][0] * x + own.data[c][1] * y + own.data[c][2] * z + own.data[c][3];
        }
        if (!some) {
            for (int k = 0; k < count; ++k)
                for (int c = 0; c < 9; ++c) hints(k)[c] = 0.0f;
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
        const float up = y_up ? 0.35f : 8.0f, along = y_up ? 8.0f : 0.35f;
        noise(2, p, 0.9f, 0.9f, 0.9f, 0.9f, 4, tag, 0u);
        noise(3, p, 11.0f, 11.0f, 11.0f, 11.0f, 4, tag, 5u);
        noise(4, p, 8.0f, up, along, 8.0f, 3, tag, 9u);
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
            const float old = 1.0f - luck[k], age = young + (1.0f - young) * old * old;
            for (int c = 2; c < 5; ++c) found[c][k] *= age;
            found[0][k] = luck[k] * 2.0f - 1.0f, found[1][k] = tint[k] * 2.0f;
        }
        for (int k = 0; k < count; ++k)
            for (int c = 0; c < 9; ++c) hints(k)[c] = side[k] > 0.0f ? found[c][k] : 0.0f;
    }
""")
def wear_noise(
    begin: wp.int32,
    end: wp.int32,
    depth: wp.array(dtype=wp.float32, ndim=3),
    normals: wp.array(dtype=wp.float32, ndim=4),
    has_normals: wp.int32,
    ids: wp.array(dtype=wp.uint32, ndim=3),
    has_ids: wp.int32,
    lenses: wp.array(dtype=wp.vec4, ndim=1),
    cam_to_world: wp.array(dtype=wp.mat44, ndim=1),
    world_to_instance: wp.array(dtype=wp.mat44, ndim=2),
    tags: wp.array(dtype=wp.uint32, ndim=1),
    anchor: wp.vec3,
    y_up: wp.int32,
    wet: wp.int32,
    snow: wp.float32,
    seed: wp.uint32,
    stain: wp.float32,
    young: wp.float32,
    hints_out: wp.array(dtype=wp.float32, ndim=4),
):
    """Fill the wear hints of some pixels.

    Args:
        begin: The first pixel, of all frames in a row.
        end: The one after the last.
        depth: Distance to the image plane [m], shape [T, H, W].
        normals: World normals, shape [T, H, W, 3].
        has_normals: Whether there are any; those shorter than 0.5 are none.
        ids: Instance ids, shape [T, H, W].
        has_ids: Whether there are any.
        lenses: Focal lengths and centres [px], shape [T].
        cam_to_world: Camera to world [m], shape [T].
        world_to_instance: World to each instance [m], shape [T, N], contiguous.
        anchor: Where the world's noise starts [m].
        tags: Number of each id, shape [N].
        y_up: Whether +Y is up; else +Z.
        wet: Whether puddles are wanted.
        snow: How much snow lies, in [0, 1]; its channels are 0 where none does.
        seed: Moves everything.
        stain: Contrast of the coarse noise (``STAIN`` of ``surface_noise``).
        young: Wear of the newest thing over that of the oldest (``YOUNG`` there).
        hints_out: Hints, shape [T, H, W, 9]. On the way in, channels 0 to 2 are the world normal where none is given.
    """


__all__ = ["wear_noise"]
