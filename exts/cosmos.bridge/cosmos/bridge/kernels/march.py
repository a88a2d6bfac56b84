"""Ways through the depth buffer: whether the light, and what lies above, is seen from each pixel, and how open it is.

Sixteen pixels go their ways side by side, so that a processor takes one instruction for all of them.
"""

import warp as wp


@wp.func_native("""
    #if defined(__CUDA_ARCH__)
    const int lanes = 1;
    #else
    const int lanes = 16;
    #endif
    const int width = depth.shape[2], height = depth.shape[1];
    const float wide = (float)width, high = (float)height, unseen = -1.0e9f;
    const int down = (int)(depth.strides[1] / sizeof(float)), right = (int)(depth.strides[2] / sizeof(float));
    for (int block = begin; block < end; block += lanes) {
        float px[lanes], py[lanes], pz[lanes], nx[lanes], ny[lanes], nz[lanes];
        float fx[lanes], fy[lanes], cx[lanes], cy[lanes];
        float wayx[2][lanes], wayy[2][lanes], wayz[2][lanes];
        int start[lanes], met[lanes], lit[lanes], some = 0;
        const int frame = block / (width * height);
        const float* depths = (const float*)((const char*)depth.data + (size_t)frame * depth.strides[0]);
        float* hints[lanes];
        for (int k = 0; k < lanes; ++k) {
            const int i = block + k < end ? block + k : end - 1;
            const int row = i / width, x = i - row * width, t = row / height, y = row - t * height;
            hints[k] = (float*)((char*)hints_out.data + (size_t)t * hints_out.strides[0]
                + (size_t)y * hints_out.strides[1] + (size_t)x * hints_out.strides[2]);
            start[k] = (t - frame) * (int)(depth.strides[0] / sizeof(float));
            met[k] = (hints[k][13] > 0.0f) & (block + k < end);
            lit[k] = met[k] & (hints[k][0] > 0.0f);
            some |= met[k];
            fx[k] = lenses.data[t][0], fy[k] = lenses.data[t][1], cx[k] = lenses.data[t][2], cy[k] = lenses.data[t][3];
            const float z = met[k] ? depths[start[k] + y * down + x * right] : 1.0f;
            px[k] = ((float)x + 0.5f - cx[k]) / fx[k] * z, py[k] = (cy[k] - (float)y - 0.5f) / fy[k] * z, pz[k] = -z;
            nx[k] = hints[k][1], ny[k] = hints[k][2], nz[k] = hints[k][12];
            for (int which = 0; which < 2; ++which) {
                const wp::vec_t<3, wp::float32> to = which == 0 ? light : up;
                float turned[3];
                for (int c = 0; c < 3; ++c) {
                    turned[c] = 0.0f;
                    for (int r = 0; r < 3; ++r) turned[c] += cam_to_world.data[t].data[r][c] * to[r];
                }
                wayx[which][k] = turned[0], wayy[which][k] = turned[1], wayz[which][k] = turned[2];
            }
        }
        if (!some) continue;
        // How far a point lies behind the surface seen at its pixel [m]; -1 where that is the sky.
        auto behind = [&](int k, float x, float y, float z) {
            const float u = cx[k] - fx[k] * x / z, v = cy[k] + fy[k] * y / z;
            const bool in = (z < -0.01f) & (u >= 0.0f) & (v >= 0.0f) & (u < wide) & (v < high);
            const int column = (int)(in ? u : 0.0f), row = (int)(in ? v : 0.0f);
            const float seen = depths[start[k] + row * down + column * right];
            const float gap = (seen > 0.0f) & (seen < 1.0e9f) ? -z - seen : -1.0f;
            return in ? gap : unseen;
        };
        float blocked[2][lanes], closed[lanes], all[lanes];
        for (int which = 0; which < 2; ++which) {
            int gone[lanes], inside[lanes];
            for (int k = 0; k < lanes; ++k) {
                blocked[which][k] = 0.0f;
                gone[k] = which == 0 ? !lit[k] : !met[k];
                inside[k] = 0;
            }
            float reach = 0.06f;
            for (int step = 0; step < 20; ++step) {
                int left = 0;
                for (int k = 0; k < lanes; ++k) {
                    const float off = 0.01f - 0.004f * pz[k];
                    const float gap = behind(k, px[k] + nx[k] * off + wayx[which][k] * reach,
                        py[k] + ny[k] * off + wayy[which][k] * reach, pz[k] + nz[k] * off + wayz[which][k] * reach);
                    const float share = gap / (0.02f - 0.01f * pz[k] + 0.05f * reach);
                    const float old = blocked[which][k];
                    const bool stops = (gap > 0.0f) & (gap < 0.5f + 0.6f * reach) & (share > old) & !gone[k];
                    const float now = stops ? (share < 1.0f ? share : 1.0f) : old;
                    blocked[which][k] = now;
                    // A straight way that has left the picture does not come back.
                    const int out = gap == unseen;
                    gone[k] |= (now >= 1.0f) | (inside[k] & out);
                    inside[k] |= !out;
                    left |= !gone[k];
                }
                if (!left) break;
                reach *= 1.33f;
            }
        }
        for (int k = 0; k < lanes; ++k) closed[k] = all[k] = 0.0f;
        for (int way = 0; way < 8; ++way) {
            // Directions of a spherical Fibonacci lattice, folded onto the normal's side.
            const float rise = 1.0f - 2.0f * ((float)way + 0.5f) / 8.0f, turn = 2.399963f * (float)way;
            const float ring = sqrtf(1.0f - rise * rise), wx = ring * cosf(turn), wy = ring * sinf(turn);
            for (int half = 0; half < 2; ++half) {
                const float reach = half == 0 ? 0.25f : 1.1f;
                for (int k = 0; k < lanes; ++k) {
                    const float along = wx * nx[k] + wy * ny[k] + rise * nz[k];
                    const float go = along < 0.0f ? -reach : reach, much = along < 0.0f ? -along : along;
                    const float off = 0.01f - 0.003f * pz[k];
                    const float gap = behind(k, px[k] + nx[k] * off + wx * go, py[k] + ny[k] * off + wy * go,
                        pz[k] + nz[k] * off + rise * go);
                    const float share = gap * 10.0f < 1.0f ? gap * 10.0f : 1.0f;
                    closed[k] += (gap > 0.02f) & (gap < 2.0f * reach + 0.2f) ? much * share : 0.0f;
                    all[k] += much;
                }
            }
        }
        for (int k = 0; k < lanes; ++k) {
            if (!met[k]) continue;
            hints[k][1] = lit[k] ? 1.0f - 2.0f * blocked[0][k] : -1.0f;
            hints[k][2] = 1.0f - 2.0f * closed[k] / (all[k] > 1.0e-4f ? all[k] : 1.0e-4f);
            hints[k][12] = 1.0f - 2.0f * blocked[1][k];
        }
    }
""")
def march(
    begin: wp.int32,
    end: wp.int32,
    depth: wp.array(dtype=wp.float32, ndim=3),
    lenses: wp.array(dtype=wp.vec4, ndim=1),
    cam_to_world: wp.array(dtype=wp.mat44, ndim=1),
    light: wp.vec3,
    up: wp.vec3,
    hints_out: wp.array(dtype=wp.float32, ndim=4),
):
    """Fill the channels 1, 2 and 12 of some pixels, which hold the camera-space normal there.

    Args:
        begin: The first pixel, of all frames in a row.
        end: The one after the last.
        depth: Distance to the image plane [m], shape [T, H, W].
        lenses: Focal lengths and centre [px], shape [T].
        cam_to_world: Poses, shape [T].
        light: Unit vector in the world towards the key light.
        up: Unit vector in the world.
        hints_out: Hints, of which the first and the last of light are filled, shape [T, H, W, C].
    """


__all__ = ["march"]
