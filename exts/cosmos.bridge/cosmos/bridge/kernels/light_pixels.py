"""The geometry of the light hints, sixteen pixels at a time, so that a processor takes one instruction for all of them.

All is reckoned in the world: where a pixel looks, how far what it sees is away, and how that faces light and camera.
"""

import warp as wp


@wp.func_native("""
    #if defined(__CUDA_ARCH__)
    const int lanes = 1;
    #else
    const int lanes = 16;
    #endif
    const int height = depth.shape[1], width = depth.shape[2];
    const size_t across = depth.strides[2] / sizeof(float);
    const float sky[14] = {0.0f, 1.0f, 1.0f, 0.0f, 1.0f, -1.0f, -1.0f, -1.0f, 0.0f, 0.0f, 0.0f, -1.0f, 1.0f, -1.0f};
    // e to the power of what is not above 0: halved so often as it is long in log 2, the rest by its series.
    auto left_of = [](float x) {
        const float halvings = floorf((x < -87.0f ? -87.0f : x) * 1.44269504f + 0.5f);
        const float rest = (x < -87.0f ? -87.0f : x) - halvings * 0.693147181f;
        float sum = 1.0f + rest * (1.0f / 7.0f);
        for (int n = 6; n > 0; --n) sum = 1.0f + rest * sum * (1.0f / (float)n);
        union { unsigned int bits; float value; } scale;
        scale.bits = (unsigned int)((int)halvings + 127) << 23;
        return sum * scale.value;
    };
    for (int at = begin; at < end;) {
        const int row = at / width, first = at - row * width, t = row / height, y = row - t * height;
        const int stop = first + end - at < width ? first + end - at : width;
        const float* deep = (const float*)((const char*)depth.data + (size_t)t * depth.strides[0]
            + (size_t)y * depth.strides[1]);
        const char* sides = (const char*)normals.data + (has_normals ? (size_t)t * normals.strides[0]
            + (size_t)y * normals.strides[1] : 0);
        char* out = (char*)hints_out.data + (size_t)t * hints_out.strides[0] + (size_t)y * hints_out.strides[1];
        float pose[3][4];
        for (int r = 0; r < 3; ++r)
            for (int c = 0; c < 4; ++c) pose[r][c] = cam_to_world.data[t].data[r][c];
        const float fx = lenses.data[t][0], cx = lenses.data[t][2];
        const float ry = (lenses.data[t][3] - (float)y - 0.5f) / lenses.data[t][1];
        const float above = pose[0][3] * up[0] + pose[1][3] * up[1] + pose[2][3] * up[2] - ground;
        for (int block = first; block < stop; block += lanes) {
            const int count = stop - block < lanes ? stop - block : lanes;
            float z[lanes], n[3][lanes], found[14][lanes];
            int met[lanes];
            for (int k = 0; k < lanes; ++k) z[k] = n[0][k] = n[1][k] = n[2][k] = 0.0f;
            for (int k = 0; k < count; ++k) {
                const float* hints = (const float*)(out + (size_t)(block + k) * hints_out.strides[2]);
                z[k] = deep[(size_t)(block + k) * across];
                n[0][k] = hints[1], n[1][k] = hints[2], n[2][k] = hints[12];
                if (!has_normals) continue;
                const float* given = (const float*)(sides + (size_t)(block + k) * normals.strides[2]);
                const size_t next = normals.strides[3] / sizeof(float);
                const float a = given[0], b = given[next], c = given[2 * next];
                if (a * a + b * b + c * c > 0.25f) n[0][k] = a, n[1][k] = b, n[2][k] = c;
            }
            for (int k = 0; k < lanes; ++k) {
                const float rx = ((float)(block + k) + 0.5f - cx) / fx, stretch = sqrtf(rx * rx + ry * ry + 1.0f);
                const float vx = (pose[0][0] * rx + pose[0][1] * ry - pose[0][2]) / stretch;
                const float vy = (pose[1][0] * rx + pose[1][1] * ry - pose[1][2]) / stretch;
                const float vz = (pose[2][0] * rx + pose[2][1] * ry - pose[2][2]) / stretch;
                const bool hit = z[k] > 0.0f && z[k] < 1.0e9f;
                const float distance = hit ? z[k] * stretch : 0.0f;
                const float squares = n[0][k] * n[0][k] + n[1][k] * n[1][k] + n[2][k] * n[2][k];
                const float unit = squares > 0.0f ? 1.0f / sqrtf(squares) : 0.0f;
                const float turn = n[0][k] * vx + n[1][k] * vy + n[2][k] * vz > 0.0f ? -unit : unit;
                const float nx = n[0][k] * turn, ny = n[1][k] * turn, nz = n[2][k] * turn;
                const float upward = vx * up[0] + vy * up[1] + vz * up[2];
                const float hx = light[0] - vx, hy = light[1] - vy, hz = light[2] - vz;
                const float half = hx * hx + hy * hy + hz * hz, high = above + distance * upward;
                float shine = half > 0.0f ? (nx * hx + ny * hy + nz * hz) / sqrtf(half) : 0.0f;
                shine = shine > 0.0f ? shine : 0.0f;
                shine *= shine, shine *= shine, shine *= shine;
                const float left = left_of(distance * (-1.0f / 30.0f)), facing = -(nx * vx + ny * vy + nz * vz);
                found[0][k] = nx * light[0] + ny * light[1] + nz * light[2];
                found[1][k] = marched ? pose[0][0] * nx + pose[1][0] * ny + pose[2][0] * nz : usual[0];
                found[2][k] = marched ? pose[0][1] * nx + pose[1][1] * ny + pose[2][1] * nz : usual[1];
                found[3][k] = nx * up[0] + ny * up[1] + nz * up[2];
                found[4][k] = 1.0f - 2.0f * left_of((high > 0.0f ? high : 0.0f) * (-1.0f / 3.0f));
                found[5][k] = 2.0f * (left * left) * (left * left) * left - 1.0f;
                found[6][k] = 2.0f * left - 1.0f;
                found[7][k] = 2.0f * left_of(-distance * extinction) - 1.0f;
                found[8][k] = vx * light[0] + vy * light[1] + vz * light[2];
                found[9][k] = upward;
                found[10][k] = facing > 0.0f ? facing : 0.0f;
                found[11][k] = 2.0f * shine * shine * shine - 1.0f;
                found[12][k] = marched ? pose[0][2] * nx + pose[1][2] * ny + pose[2][2] * nz : usual[2];
                found[13][k] = 1.0f;
                met[k] = hit;
            }
            for (int c = 0; c < 14; ++c) {
                if (c == 8 || c == 9) continue;
                for (int k = 0; k < lanes; ++k) found[c][k] = met[k] ? found[c][k] : sky[c];
            }
            for (int k = 0; k < count; ++k) {
                float* hints = (float*)(out + (size_t)(block + k) * hints_out.strides[2]);
                for (int c = 0; c < 14; ++c) hints[c] = found[c][k];
            }
        }
        at += stop - first;
    }
""")
def light_pixels(
    begin: wp.int32,
    end: wp.int32,
    depth: wp.array(dtype=wp.float32, ndim=3),
    normals: wp.array(dtype=wp.float32, ndim=4),
    has_normals: wp.int32,
    lenses: wp.array(dtype=wp.vec4, ndim=1),
    cam_to_world: wp.array(dtype=wp.mat44, ndim=1),
    light: wp.vec3,
    up: wp.vec3,
    ground: wp.float32,
    extinction: wp.float32,
    marched: wp.int32,
    usual: wp.vec3,
    hints_out: wp.array(dtype=wp.float32, ndim=4),
):
    """Fill the light hints of some pixels but for what is marched for.

    Args:
        begin: The first pixel, of all frames in a row.
        end: The one after the last.
        depth: Distance to the image plane [m], shape [T, H, W].
        normals: World normals, shape [T, H, W, 3].
        has_normals: Whether there are any; those shorter than 0.5 are none.
        lenses: Focal lengths and centres [px], shape [T].
        cam_to_world: Camera to world [m], shape [T].
        light: Unit vector in the world towards the key light.
        up: Unit vector in the world.
        ground: Height of the ground along ``up`` [m].
        extinction: Of the air [1/m].
        marched: Whether channels 1, 2 and 12 are to hold the normal in camera space, for ``march``.
        usual: What they hold otherwise.
        hints_out: Hints, shape [T, H, W, 14]. On the way in, channels 1, 2 and 12 are the world normal where none is
            given.
    """


__all__ = ["light_pixels"]
