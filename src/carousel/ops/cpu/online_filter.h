// The decoupled extended Kalman filter of online nets (Puskorius & Feldkamp 1994; Perez-Ortiz, Gers, Eck & Schmidhuber 2003): weights
// are estimated from the outputs that they lead to, an update at every step with a target. Derivatives are those of the rule.
#pragma once
#include "online.h"

namespace carousel::CAROUSEL_TARGET {

// Weights that share a covariance: which of all estimated weights, where their triangle lies, and the first output that they touch.
// Those of one row of the readout touch that output alone.
struct Estimate {
    int64_t from, to, triangle;
    int first_output, last_output;
};

class OnlineFilter final : public Online {
public:
    OnlineFilter(const OnlineCall& given, int64_t group, int64_t lane)
        : Online(given, group, lane), covariance(numbers(given.covariance, given.covariance_size)), noise(numbers(given.noise, kNoise)),
          annealing(numbers(given.annealing, 2)), positions(static_cast<const int64_t*>(given.positions)),
          ends(static_cast<const int64_t*>(given.ends)), count(given.ends_size ? ends[given.ends_size - 1] : 0) {
        const NetNumbers memory = numbers(given.measured, given.measured_size);
        jacobian = memory, known = jacobian.from(outputs * count), uncertain = known.from(outputs * count);
        gradient = row_slope = uncertain.from(outputs * outputs);
    }

private:
    // Of the noise: that of measurements, that of the process, and how many updates it goes on falling.
    enum { kMeasurement, kProcess, kLeft, kNoise };

    const NetNumbers covariance, noise, annealing;
    const int64_t *positions, *ends;
    const int64_t count;
    NetNumbers jacobian, known, uncertain, row_slope;  // (outputs, count) twice, (outputs, outputs), and one of all weights

    void learn(int64_t t) override {
        const uint8_t flags = any;
        any &= uint8_t(~kTarget);  // what is carried forwards moves on; no gradient is gathered
        if (call.exact_size) learn_exactly();
        else learn_truncated();
        any = flags;
        if (any & kTarget && any & kUpdate) estimate(t);
    }

    template <class Do> void each_estimate(Do what) const {
        Estimate of{0, 0, 0, 0, 0};
        for (int64_t n = 0; n < call.ends_size; ++n) {
            of.to = ends[n];
            const int64_t size = of.to - of.from, begin = positions[of.from] - readout_at, end = positions[of.to - 1] - readout_at;
            const bool one = begin >= 0 && begin / read == end / read;
            of.first_output = one ? int(begin / read) : 0, of.last_output = one ? of.first_output + 1 : outputs;
            what(of);
            of.from = of.to, of.triangle += size * (size + 1) / 2;
        }
    }

    void estimate(int64_t t) {
        const NetMask now = target & update;
        for (int o = 0; o < outputs; ++o) {
            measure(o);
            error.set(o, now ? wanted(t, o) - answers[o] : Net{});
            for (int other = 0; other <= o; ++other) uncertain.set(o * outputs + other, other == o ? noise[kMeasurement] : Net{});
        }
        each_estimate([&](const Estimate& of) { doubt(of); });
        eliminate(now);
        each_estimate([&](const Estimate& of) { trust(of, now ? noise[kProcess] : Net{}); });
        anneal(now);
    }

    // The derivative of an output for each weight that is estimated.
    void measure(int o) {
        for (int64_t n = 0; n < call.weights_size; ++n) row_slope.set(n, Net{});
        const NetNumbers weights = weight.from(readout_at + int64_t(o) * read), own = row_slope.from(readout_at + int64_t(o) * read);
        const Net slope = net_slope(Squash(call.squash_size), answers[o]);
        for (int v = 0; v < hidden; ++v) wrong.set(v, slope * weights[v]), own.set(v, slope * h[v]);
        for (int n = 0; call.shortcut_size && n < active_inputs; ++n) own.set(hidden + active[n], slope * source[active[n]]);
        own.set(read - 1, slope);
        if (call.exact_size) measure_exactly();
        else measure_truncated();
        for (int64_t n = 0; n < count; ++n) jacobian.set(o * count + n, row_slope[positions[n]]);
    }
    void measure_exactly() {
        for (int64_t n = 0; n < readout_at; ++n) {
            const NetNumbers of = influence.from(n * states);
            Net sum{};
            for (int v = 0; v < hidden; ++v) sum += wrong[v] * of[v];
            row_slope.set(n, sum);
        }
    }
    void measure_truncated() {
        for (int v = 0; v < hidden; ++v) carried.set(v, wrong[v] * gate(kOutput, v) * out_slope[v]);
        int64_t at = 0;
        for (int g = 0; g < kOutput; ++g)
            for (int v = 0; learned(row, g) && v < hidden; ++v, at += sources) {
                const NetNumbers to = row_slope.from(int64_t(layout.rows_at[g] + unit(g, v)) * sources);
                for (int k = 0; k < sources; ++k) to.add(k, carried[v] * influence[at + k]);
            }
        for (int g = 0; g < kOutput; ++g)
            for (int v = 0; peeps(row, g) && v < hidden; ++v, at += block)
                for (int seen = begin(g, unit(g, v)), n = 0; seen < end(g, unit(g, v)); ++seen, ++n)
                    row_slope.add(peephole(g, seen), carried[v] * influence[at + n]);
        for (int u = 0; learned(row, kOutput) && u < layout.units[kOutput]; ++u) open_output(u);
    }

    // H K of one estimate, and what it adds to the outputs' covariance H K Hᵀ.
    void doubt(const Estimate& of) {
        const int64_t size = of.to - of.from;
        for (int o = 0; o < outputs; ++o)
            for (int64_t i = 0; i < size; ++i) known.set(o * count + of.from + i, Net{});
        for (int o = of.first_output; o < of.last_output; ++o) {
            const NetNumbers H = jacobian.from(o * count + of.from), to = known.from(o * count + of.from);
            int64_t at = of.triangle;
            for (int64_t i = 0; i < size; ++i) {
                const Net own = H[i];
                Net sum{};
                for (int64_t j = 0; j < i; ++j, ++at) {
                    const Net K = covariance[at];
                    sum += K * H[j];
                    to.add(j, K * own);
                }
                to.set(i, sum + covariance[at++] * own);
            }
        }
        for (int o = of.first_output; o < of.last_output; ++o)
            for (int other = of.first_output; other <= o; ++other) {
                Net sum{};
                for (int64_t i = of.from; i < of.to; ++i) sum += known[o * count + i] * jacobian[other * count + i];
                uncertain.add(o * outputs + other, sum);
            }
    }

    // The outputs' covariance as L D Lᵀ: H K becomes L⁻¹ H K, the errors D⁻¹ L⁻¹ of them, and D⁻¹ stays on the diagonal, 0 where nothing is learned.
    void eliminate(NetMask now) {
        for (int k = 0; k < outputs; ++k) {
            const NetNumbers from = known.from(k * count);
            const Net inverse = broadcast(1.0) / uncertain[k * outputs + k];
            for (int o = k + 1; o < outputs; ++o) {
                const NetNumbers to = known.from(o * count), left = uncertain.from(o * outputs);
                const Net part = left[k] * inverse;
                for (int other = k + 1; other <= o; ++other) left.add(other, -part * uncertain[other * outputs + k]);
                for (int64_t n = 0; n < count; ++n) to.add(n, -part * from[n]);
                error.add(o, -part * error[k]);
            }
            uncertain.set(k * outputs + k, now ? inverse : Net{});
        }
        for (int o = 0; o < outputs; ++o) error.set(o, uncertain[o * outputs + o] * error[o]);
    }

    // The weights of one estimate, and how sure they are now.
    void trust(const Estimate& of, Net process) {
        int64_t at = of.triangle;
        for (int64_t i = of.from; i < of.to; ++i) {
            Net change{};
            for (int o = of.first_output; o < outputs; ++o) {
                change += known[o * count + i] * error[o];
                row_slope.set(o, known[o * count + i] * uncertain[o * outputs + o]);
            }
            weight.add(positions[i], change);
            for (int64_t j = of.from; j <= i; ++j, ++at) {
                Net K = covariance[at];
                for (int o = of.first_output; o < outputs; ++o) K -= row_slope[o] * known[o * count + j];
                covariance.set(at, j == i ? K + process : K);
            }
        }
    }

    void anneal(NetMask now) {
        const NetMask more = now & (noise[kLeft] > Net{});
        for (int n = 0; n < kLeft; ++n) noise.set(n, more ? noise[n] * annealing[n] : noise[n]);
        noise.set(kLeft, more ? noise[kLeft] - broadcast(1.0) : noise[kLeft]);
    }
};

}  // namespace carousel::CAROUSEL_TARGET
