// Products with one packed factor: out[r] (+)= left[r] · packed (+ bias), and sums of outer products over a list of rows.
// A factor is a number, or a pair of them in half precision: W says which, and a depth counts factors.
// Every element is summed over the depth in one order, whatever tile it falls into: results do not depend on how rows are split.
#pragma once
#include <cstdlib>
#include "half.h"

namespace carousel::CAROUSEL_TARGET {

inline constexpr int kPanel = 4;     // vectors that lie side by side in a panel
inline constexpr int kDepth = 1024;  // rows of a panel that are multiplied before the next panel's turn
template <class T> inline constexpr int kPanelLanes = kPanel * kLanes<T>;

template <class T> struct Buffer {
    T* data;
    explicit Buffer(size_t count) : data(count ? static_cast<T*>(aligned_alloc(64, (count * sizeof(T) + 63) / 64 * 64)) : nullptr) {
        if (count && !data) abort();
    }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() { free(data); }
    void zero(size_t count) { if (count) memset(static_cast<void*>(data), 0, count * sizeof(T)); }
    operator T*() const { return data; }
};

inline int padded(int count, int unit) { return (count + unit - 1) / unit * unit; }

// A matrix (depth, columns) as panels [panel][depth][vectors][lanes], the last one only as wide as it must be.
template <class T> struct Packed {
    const T* data = nullptr;
    int columns = 0, depth = 0;
    static size_t size(int columns, int depth) { return size_t(padded(columns, kLanes<T>)) * size_t(depth); }
    int panels() const { return (columns + kPanelLanes<T> - 1) / kPanelLanes<T>; }
    int vectors(int panel) const { return least(kPanel, (columns - panel * kPanelLanes<T> + kLanes<T> - 1) / kLanes<T>); }
    const T* panel(int at) const { return data + size_t(at) * kPanelLanes<T> * size_t(depth); }
};

template <class W> struct Tile {
    const W* const* left;  // a pointer a row; row r at depth k is left[r][k * step]
    ptrdiff_t step;
    const W* right;  // [depth][width][lanes]
    int width, depth;
    Sum<W>* const* out;
    ptrdiff_t column;    // where in each row of out the tile begins
    int columns;         // how many columns of the tile exist
    const Sum<W>* bias;  // or null
    bool add;
};

template <class W, int R, int V> void run_tile(const Tile<W>& tile) {
    using T = Sum<W>;
    constexpr int L = kLanes<T>;
    const W* left[R];
    for (int r = 0; r < R; ++r) left[r] = tile.left[r];
    Vec<T> sum[R][V] = {};
    const W* right = tile.right;
    const ptrdiff_t width = ptrdiff_t(tile.width) * L, step = tile.step;
    ptrdiff_t at = 0;
    for (int k = 0; k < tile.depth; ++k, right += width, at += step) {
        Vec<W> b[V];
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) b[v] = load(right + v * L);
#pragma GCC unroll 16
        for (int r = 0; r < R; ++r) {
            Vec<W> a = broadcast(left[r][at]);
            pin(a);
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v) multiply_add<W>(sum[r][v], a, b[v]);
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 8
        for (int v = 0; v < V; ++v) {
            const int n = tile.columns - v * L;
            if (n <= 0) break;
            T* to = tile.out[r] + tile.column + v * L;
            Vec<T> value = sum[r][v];
            if (tile.bias) value += load(tile.bias + tile.column + v * L, n);
            if (tile.add) value += load<T>(to, n);
            store(to, value, n);
        }
}

// How tall and wide a tile is that leaves all sums in registers: rows are shared out evenly among the last tiles.
inline constexpr unsigned char kHeights[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 5, 5, 5, 6, 6, 6, 5, 5, 6, 6, 6, 6, 5, 6, 6, 6, 6, 6};
inline int tile_height(int rows) {
    if (rows > 30) return 6;
    return kManyRegisters || rows <= 6 || rows > 12 ? kHeights[rows] : (rows + 1) / 2;
}
inline int tile_width(int rows) {
    if constexpr (kManyRegisters) return rows > 6 && rows <= 12 ? 2 : 4;
    else return rows <= 2 ? 4 : 2;
}

template <class W, int R> void run_tile_of(const Tile<W>& tile, int vectors) {
    if constexpr (R <= (kManyRegisters ? 6 : 2)) {
        if (vectors == 4) return run_tile<W, R, 4>(tile);
        if (vectors == 3) return run_tile<W, R, 3>(tile);
    }
    if (vectors == 2) return run_tile<W, R, 2>(tile);
    run_tile<W, R, 1>(tile);
}

template <class W> void run_tile_of(const Tile<W>& tile, int rows, int vectors) {
    switch (rows) {
        case 1: return run_tile_of<W, 1>(tile, vectors);
        case 2: return run_tile_of<W, 2>(tile, vectors);
        case 3: return run_tile_of<W, 3>(tile, vectors);
        case 4: return run_tile_of<W, 4>(tile, vectors);
        case 5: return run_tile_of<W, 5>(tile, vectors);
        case 6: return run_tile_of<W, 6>(tile, vectors);
    }
    if constexpr (kManyRegisters) switch (rows) {
        case 7: return run_tile_of<W, 7>(tile, vectors);
        case 8: return run_tile_of<W, 8>(tile, vectors);
        case 9: return run_tile_of<W, 9>(tile, vectors);
        case 10: return run_tile_of<W, 10>(tile, vectors);
        case 11: return run_tile_of<W, 11>(tile, vectors);
        case 12: return run_tile_of<W, 12>(tile, vectors);
    }
}

// All rows of one panel: tiles below each other, and beside each other where they are narrow.
template <class W> void run_panel(Tile<W> tile, int rows) {
    const W* right = tile.right;
    const ptrdiff_t column = tile.column;
    const int columns = tile.columns;
    while (rows > 0) {
        const int height = tile_height(rows), vectors = tile_width(rows);
        for (int v = 0; v < tile.width; v += vectors) {
            tile.right = right + v * kLanes<W>;
            tile.column = column + v * kLanes<W>;
            tile.columns = columns - v * kLanes<W>;
            run_tile_of(tile, height, least(vectors, tile.width - v));
        }
        tile.left += height;
        tile.out += height;
        rows -= height;
    }
}

template <class W> struct Product {
    const W* const* left;
    Sum<W>* const* out;
    int rows;
    const Sum<W>* bias = nullptr;
    bool add = false;
};

// out (+)= left · packed + bias for some of the panels, in blocks of the depth so that a panel's block stays in the second-level cache.
template <class W> void multiply(const Packed<W>& packed, const Product<W>& product, const W** shifted, int from, int to) {
    for (int begin = 0; begin < packed.depth || begin == 0; begin += kDepth) {
        for (int r = 0; r < product.rows; ++r) shifted[r] = product.left[r] + begin;
        for (int panel = from; panel < to; ++panel) {
            const int width = packed.vectors(panel), columns = least(kPanelLanes<W>, packed.columns - panel * kPanelLanes<W>);
            const W* right = packed.panel(panel) + size_t(begin) * width * kLanes<W>;
            run_panel(Tile<W>{shifted, 1, right, width, least(kDepth, packed.depth - begin), product.out, panel * kPanelLanes<W>, columns,
                              begin ? nullptr : product.bias, begin || product.add}, product.rows);
        }
    }
}

template <class T, int... lane> struct Interleave {
    static Vec<T> low(Vec<T> a, Vec<T> b) { return __builtin_shufflevector(a, b, (lane / 2 + lane % 2 * kLanes<T>)...); }
    static Vec<T> high(Vec<T> a, Vec<T> b) { return __builtin_shufflevector(a, b, (lane / 2 + lane % 2 * kLanes<T> + kLanes<T> / 2)...); }
};
template <class T, int n, int... lane> struct MakeInterleave : MakeInterleave<T, n - 1, n - 1, lane...> {};
template <class T, int... lane> struct MakeInterleave<T, 0, lane...> { using type = Interleave<T, lane...>; };

// A square of vectors with rows and columns exchanged, by a network of perfect shuffles.
template <class T> void transpose(Vec<T>* square) {
    using Shuffle = typename MakeInterleave<T, kLanes<T>>::type;
    constexpr int L = kLanes<T>;
    for (int width = 1; width < L; width *= 2) {
        Vec<T> next[L];
        for (int i = 0; i < L / 2; ++i) {
            next[2 * i] = Shuffle::low(square[i], square[i + L / 2]);
            next[2 * i + 1] = Shuffle::high(square[i], square[i + L / 2]);
        }
        for (int i = 0; i < L; ++i) square[i] = next[i];
    }
}

// Packs the transpose of a matrix (columns, depth) whose rows lie `stride` apart.
template <class T> void pack_transposed(T* to, const T* from, ptrdiff_t stride, int columns, int depth) {
    constexpr int L = kLanes<T>;
    Packed<T> packed{to, columns, depth};
    for (int panel = 0; panel < packed.panels(); ++panel) {
        const int width = packed.vectors(panel);
        T* at = to + size_t(panel) * kPanelLanes<T> * size_t(depth);
        for (int v = 0; v < width; ++v) {
            const int first = panel * kPanelLanes<T> + v * L;
            for (int k = 0; k < depth; k += L) {
                Vec<T> square[L];
                for (int i = 0; i < L; ++i)
                    square[i] = first + i < columns ? load(from + (first + i) * stride + k, depth - k) : Vec<T>{};
                transpose<T>(square);
                for (int i = 0; i < least(L, depth - k); ++i) store(at + (size_t(k + i) * width + v) * L, square[i]);
            }
        }
    }
}

// Packs the transpose of a dense matrix (columns, depth) of numbers.
template <class W> void pack_matrix(W* to, const Sum<W>* from, int columns, int depth) {
    if constexpr (!kPaired<W>) return pack_transposed(to, from, depth, columns, depth);
    else {
        const int half = factors<W>(depth);
        Buffer<W> paired(size_t(columns) * size_t(half));
        for (int n = 0; n < columns; ++n) pair_neighbours(paired + size_t(n) * size_t(half), from + size_t(n) * size_t(depth), depth);
        pack_transposed(to, paired.data, half, columns, half);
    }
}

// Packs a matrix given by a pointer to each of its `depth` rows of numbers.
template <class W> void pack_rows(W* to, const Sum<W>* const* rows, ptrdiff_t column, int columns, int depth) {
    constexpr int L = kLanes<W>;
    const int half = factors<W>(depth);
    Packed<W> packed{to, columns, half};
    for (int panel = 0; panel < packed.panels(); ++panel) {
        const int width = packed.vectors(panel), first = panel * kPanelLanes<W>;
        W* at = to + size_t(panel) * kPanelLanes<W> * size_t(half);
        for (int k = 0; k < half; ++k)
            for (int v = 0; v < width; ++v) {
                const ptrdiff_t from = column + first + v * L;
                const int n = columns - first - v * L;
                W* into = at + (size_t(k) * width + v) * L;
                if constexpr (!kPaired<W>) store(into, load(rows[k] + from, n));
                else store(into, pairs(load(rows[2 * k] + from, n), 2 * k + 1 < depth ? load(rows[2 * k + 1] + from, n) : Vec<float>{}));
            }
    }
}

// Rows of numbers as products read them: themselves, or copies in half precision.
template <class W> class Factors {
public:
    Factors(int rows, int width) : width_(factors<W>(width)), copies_(kPaired<W> ? size_t(rows) * size_t(width_) : 0), pointers_(kPaired<W> ? size_t(rows) : 0) {}
    const W* const* of(const Sum<W>* const* rows, int count, int width) {
        if constexpr (!kPaired<W>) return (void)count, (void)width, rows;
        else {
            for (int r = 0; r < count; ++r) {
                W* to = copies_ + size_t(r) * size_t(width_);
                pair_neighbours(to, rows[r], width);
                pointers_[r] = to;
            }
            return pointers_;
        }
    }

private:
    const int width_;
    Buffer<W> copies_;
    Buffer<const W*> pointers_;
};

// What is multiplied with the left factor of outer products, and where the sums go.
template <class T> struct Right {
    const T* const* rows;  // a pointer for each step
    int columns;
    T* out;
    ptrdiff_t stride;
};

// out[n] += Σ_k left[k][first + n] · right[k], for every right factor, n in [begin, end).
template <class T> struct Outer {
    const T* const* left;  // a pointer for each of `count` steps
    int count;
    ptrdiff_t first;  // the column of left that belongs to row 0 of out
    int begin, end;
};

inline constexpr int kStrip = 6;    // rows of out that are summed together
inline constexpr int kSteps = 256;  // factors of the depth that are packed at a time
// From strip to strip; no power of two, which would put the same step of all strips into the same lines of a cache.
template <class W> inline constexpr int kStripLength = kStrip * kSteps + kLanes<W>;

// Steps of left as strips [strip][step][row].
template <class W> void pack_strips(W* to, const Outer<Sum<W>>& outer, int from, int steps, W* line) {
    const int rows = outer.end - outer.begin, whole = rows / kStrip, rest = rows % kStrip, half = factors<W>(steps);
    for (int k = 0; k < half; ++k) {
        const auto row = [&](int step) { return outer.left[from + step] + outer.first + outer.begin; };
        const W* source;
        if constexpr (kPaired<W>) pair_rows(line, row(2 * k), 2 * k + 1 < steps ? row(2 * k + 1) : nullptr, rows), source = line;
        else (void)line, source = row(k);
        W* at = to + k * kStrip;
        for (int s = 0; s < whole; ++s) memcpy(at + s * kStripLength<W>, source + s * kStrip, kStrip * sizeof(W));
        for (int r = 0; r < rest; ++r) at[whole * kStripLength<W> + r] = source[whole * kStrip + r];
    }
}

// One panel of `steps` steps of a right factor with all strips.
template <class W> void multiply_strips(const W* left, const W* right, const Outer<Sum<W>>& outer, const Right<Sum<W>>& to, int column, int steps) {
    const int columns = least(kPanelLanes<W>, to.columns - column), width = (columns + kLanes<W> - 1) / kLanes<W>;
    for (int row = outer.begin; row < outer.end; row += kStrip, left += kStripLength<W>) {
        const int rows = least(kStrip, outer.end - row);
        const W* lefts[kStrip];
        Sum<W>* outs[kStrip];
        for (int r = 0; r < rows; ++r) {
            lefts[r] = left + r;
            outs[r] = to.out + (row + r) * to.stride;
        }
        run_panel(Tile<W>{lefts, kStrip, right, width, factors<W>(steps), outs, column, columns, nullptr, true}, rows);
    }
}

template <class W> void outer_products(const Outer<Sum<W>>& outer, const Right<Sum<W>>* rights, int number) {
    const int rows = outer.end - outer.begin, strips = (rows + kStrip - 1) / kStrip, block = kSteps * kNumbers<W>;
    Buffer<W> left(size_t(strips) * kStripLength<W>), right(size_t(kSteps) * kPanelLanes<W>), line(kPaired<W> ? size_t(rows) : 0);
    for (int from = 0; from < outer.count; from += block) {
        const int steps = least(block, outer.count - from);
        pack_strips(left.data, outer, from, steps, line.data);
        for (const Right<Sum<W>>* one = rights; one < rights + number; ++one)
            for (int column = 0; column < one->columns; column += kPanelLanes<W>) {
                pack_rows<W>(right, one->rows + from, column, least(kPanelLanes<W>, one->columns - column), steps);
                multiply_strips(left.data, right.data, outer, *one, column, steps);
            }
    }
}

}  // namespace carousel::CAROUSEL_TARGET
