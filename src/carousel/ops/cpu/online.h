// Learning online: forward, error, the gradient carried forwards in time, and the update, a step at a time in constant memory.
// Every vector holds one number of each of several independent nets, so that even a net of a few units fills it.
// The gradient is exact (real-time recurrent learning, Williams & Zipser 1989), or that of 1997, which is cut where it would
// leave a cell through a gate or the cell's input (Hochreiter & Schmidhuber 1997; Gers, Schraudolph & Schmidhuber 2002).
#pragma once
#include "cell.h"
#include "online_trials.h"

namespace carousel::CAROUSEL_TARGET {

[[gnu::noinline]] inline Net net_squash(Squash kind, Net x) { return squash<double>(kind, x); }
[[gnu::noinline]] inline Net net_slope(Squash kind, Net y) { return slope<double>(kind, y); }

// One vector of nets through all steps of a call.
//
// Weights lie in the order W (rows, sources), p (peepholes, cells), readout (outputs, what it reads). Sources are the inputs, h, where
// R reads it c, where they recur the gates, and a one for the bias; the readout reads h, with a shortcut the inputs, and a one. What
// does not exist is not `learned`, and zero. The state is h, c and the gates without the candidate.
class Online {
public:
    Online(const OnlineCall& given, int64_t group, int64_t lane)
        : call(given), row(given.row), layout(given.row, int(given.hidden_size)), first(group * kNets + lane), inputs(int(given.inputs_size)),
          hidden(int(given.hidden_size)), outputs(int(given.outputs_size)), block(given.row.block),
          trials(given, first, numbers(given.rate, 1)[0]) {
        for (int g = 0; g < kGates; ++g) {
            sent_at[g] = sent;
            if (g != kCandidate && learned(row, g)) sent += layout.units[g];
            reads_cell |= recurrent(row, g) && gate_of(row, g).recurrent == Recurrent::cell;
        }
        recurring = hidden + (reads_cell ? hidden : 0) + (call.gates_size ? sent : 0);
        sources = inputs + recurring + 1, read = hidden + (call.shortcut_size ? inputs : 0) + 1;
        peepholes_at = layout.rows * sources, readout_at = peepholes_at + layout.peepholes * hidden;
        states = 2 * hidden + sent;
        weight = numbers(call.weights, call.weights_size), gradient = numbers(call.gradient, call.weights_size);
        velocity = numbers(call.velocity, call.weights_size), state = numbers(call.state, call.state_size);
        influence = numbers(call.influence, call.influence_size);
        momentum = numbers(call.momentum, 1)[0];
        divide(numbers(call.scratch, call.scratch_size), lane);
        for (int64_t n = 0; call.training_size && n < call.weights_size; ++n) pending |= gradient[n] != Net{};
    }

    void run() {
        for (int64_t t = 0; t < call.time_size; ++t) {
            flag(t);
            if (trials.on() && trials.begin(start, reset, target, update)) any |= kReset;
            if (trials.idle()) continue;
            if (any & kReset) forget(reset);
            sense(t);
            forward();
            answer(t);
            if (trials.on()) assess(t);
            if (call.training_size) learn(t);
            if (trials.on()) trials.end();
            pass();
        }
        if (trials.on()) forget(~trials.awake());
        trials.keep();
    }

protected:
    const OnlineCall& call;
    const Row& row;
    const Layout layout;
    const int64_t first;  // net of the first lane
    const int inputs, hidden, outputs, block;
    Trials trials;
    int sent = 0, sent_at[kGates], recurring, sources, read, states, active_inputs = 0, actives = 0;
    int64_t peepholes_at, readout_at;
    bool reads_cell = false, at_once = false;
    uint8_t any = 0;
    NetMask reset, target, update, start, pending{};  // pending: nets with a gradient that waits for an update
    Net momentum;
    NetNumbers weight, gradient, velocity, state, influence;
    NetNumbers source, value, slopes, cell, out, out_slope, h, fade, coefficient[kOutput], wrong, carried, answers, error, pre, next;
    int32_t* active;  // the sources that are not zero: inputs, then all others

    // What these nets have of a tensor (groups, size, kNets).
    NetNumbers numbers(void* all, int64_t size) const {
        return {all ? static_cast<double*>(all) + first / kNets * size * kNets + first % kNets : nullptr};
    }
    void divide(NetNumbers scratch, int64_t lane) {
        int64_t at = 0;
        const auto take = [&](NetNumbers& to, int64_t size) { to = scratch.from(at), at += size; };
        take(source, sources), take(value, layout.rows), take(slopes, layout.rows), take(pre, layout.rows), take(next, states);
        take(cell, hidden), take(out, hidden), take(out_slope, hidden), take(h, hidden), take(fade, hidden), take(wrong, hidden), take(carried, hidden);
        for (NetNumbers& each : coefficient) take(each, hidden);
        take(answers, outputs), take(error, outputs);
        active = reinterpret_cast<int32_t*>(scratch.from(at).to - lane);
        for (int k = 0; k < inputs; ++k) source.set(k, Net{});
    }

    bool is_open(int g) const { return gate_of(row, g).kind == Kind::open; }
    bool sees_new_cell(int g) const { return gate_of(row, g).peephole == Peephole::current; }
    int begin(int g, int unit) const { return g == kCandidate ? unit : unit * block; }
    int end(int g, int unit) const { return g == kCandidate ? unit + 1 : (unit + 1) * block; }
    int unit(int g, int v) const { return g == kCandidate ? v : v / block; }
    int64_t peephole(int g, int v) const { return peepholes_at + int64_t(layout.peephole[g]) * hidden + v; }
    int place(int recurrent_source) const { return recurrent_source < hidden || reads_cell ? recurrent_source : recurrent_source + hidden; }
    Net old_cell(int v) const { return state[hidden + v]; }
    template <class Do> void each_net(Do what) const {
        for (int lane = 0; lane < kLanes<double>; ++lane)
            if (first + lane < call.nets_size) what(lane, first + lane);
    }

    void flag(int64_t t) {
        any = 0, reset = target = update = start = NetMask{};
        each_net([&](int lane, int64_t net) {
            const uint8_t now = static_cast<const uint8_t*>(call.flags)[t * call.flags_stride.time + net * call.flags_stride.net];
            any |= now;
            reset[lane] = now & kReset ? -1 : 0, target[lane] = now & kTarget ? -1 : 0, update[lane] = now & kUpdate ? -1 : 0;
            start[lane] = now & kStart ? -1 : 0;
        });
    }
    void forget(NetMask nets) const {
        for (int s = 0; s < states; ++s) state.set(s, nets ? Net{} : state[s]);
        for (int64_t n = 0; call.training_size && n < call.influence_size; ++n) influence.set(n, nets ? Net{} : influence[n]);
    }

    void sense(int64_t t) {
        active_inputs = 0;
        if (call.symbols_size) sense_symbols(t);
        else sense_numbers(t);
        actives = active_inputs;
        for (int y = 0; y < recurring; ++y) source.set(inputs + y, state[place(y)]);
        source.set(sources - 1, broadcast(1.0));
        for (int k = inputs; k < sources; ++k) active[actives++] = k;
    }
    void sense_symbols(int64_t t) {
        each_net([&](int lane, int64_t net) {
            const int64_t symbol = static_cast<const int64_t*>(call.inputs)[t * call.inputs_stride.time + net * call.inputs_stride.net];
            if (symbol < 0 || symbol >= inputs) return;
            bool known = false;
            for (int n = 0; n < active_inputs; ++n) known |= active[n] == symbol;
            if (!known) active[active_inputs++] = int32_t(symbol);
            source.to[symbol * kNets + lane] = 1;
        });
    }
    void sense_numbers(int64_t t) {
        const double* from[kLanes<double>] = {};
        each_net([&](int lane, int64_t net) {
            from[lane] = static_cast<const double*>(call.inputs) + t * call.inputs_stride.time + net * call.inputs_stride.net;
        });
        for (int k = 0; k < inputs; ++k) {
            Net x{};
            bool some = false;
            for (int lane = 0; lane < kLanes<double>; ++lane)
                if (from[lane]) x[lane] = from[lane][k], some |= from[lane][k] != 0;
            if (!some) continue;
            source.set(k, x);
            active[active_inputs++] = k;
        }
    }

    Net preactivation(int g, int u) const {
        const NetNumbers weights = weight.from(int64_t(layout.rows_at[g] + u) * sources);
        Net sum{}, other{};
        int n = 0;
        for (; n + 1 < actives; n += 2) {
            sum += weights[active[n]] * source[active[n]];
            other += weights[active[n + 1]] * source[active[n + 1]];
        }
        if (n < actives) sum += weights[active[n]] * source[active[n]];
        for (int v = begin(g, u); peeps(row, g) && v < end(g, u); ++v) sum += weight[peephole(g, v)] * (sees_new_cell(g) ? cell[v] : old_cell(v));
        return sum + other;
    }
    // The influence of a net that waits stands still: its slopes are zero, and its cells fade by nothing.
    void activate(int g) {
        const NetMask awake = trials.awake();
        for (int u = 0; learned(row, g) && u < layout.units[g]; ++u) {
            const Net y = net_squash(gate_of(row, g).squash, preactivation(g, u));
            value.set(layout.rows_at[g] + u, y);
            slopes.set(layout.rows_at[g] + u, awake ? net_slope(gate_of(row, g).squash, y) : Net{});
        }
    }
    Net gate(int g, int v) const { return learned(row, g) ? value[layout.rows_at[g] + unit(g, v)] : broadcast(1.0); }
    Net gate_slope(int g, int v) const { return learned(row, g) ? slopes[layout.rows_at[g] + unit(g, v)] : Net{}; }

    void forward() {
        activate(kInput), activate(kForget), activate(kCandidate);
        for (int v = 0; v < hidden; ++v) integrate(v);
        activate(kOutput);
        for (int v = 0; v < hidden; ++v) h.set(v, gate(kOutput, v) * out[v]);
    }
    // c_t of one cell, and how it depends on the pre-activations of its gates.
    void integrate(int v) {
        const Net one = broadcast(1.0), old = old_cell(v), z = gate(kCandidate, v);
        Net i = gate(kInput, v), f = gate(kForget, v), by_input = z, by_forget = old;
        if (row.input.kind == Kind::complement) i = one - f, by_forget = old - z;
        if (row.forget.kind == Kind::complement) f = one - i, by_input = z - old;
        const Net c = f * old + i * z, y = net_squash(row.squash, c);
        cell.set(v, c), out.set(v, y), out_slope.set(v, net_slope(row.squash, y)), fade.set(v, trials.awake() ? f : one);
        coefficient[kInput].set(v, by_input * gate_slope(kInput, v));
        coefficient[kForget].set(v, by_forget * gate_slope(kForget, v));
        coefficient[kCandidate].set(v, i * gate_slope(kCandidate, v));
    }

    void answer(int64_t t) {
        double* to = static_cast<double*>(call.results) + t * call.nets_size * outputs;
        for (int o = 0; o < outputs; ++o) {
            const NetNumbers weights = weight.from(readout_at + int64_t(o) * read);
            Net sum = weights[read - 1];
            for (int v = 0; v < hidden; ++v) sum += weights[v] * h[v];
            for (int n = 0; call.shortcut_size && n < active_inputs; ++n) sum += weights[hidden + active[n]] * source[active[n]];
            const Net y = net_squash(Squash(call.squash_size), sum);
            answers.set(o, y);
            if (call.results) each_net([&](int lane, int64_t net) { to[net * outputs + o] = y[lane]; });
        }
    }

    void assess(int64_t t) {
        if (!(any & kTarget)) return;
        NetMask right = target;
        for (int o = 0; o < outputs; ++o) right &= trials.near(answers[o], wanted(t, o));
        trials.judge(target, right);
    }
    virtual void learn(int64_t t) {
        at_once = !call.exact_size && !velocity.to && !some((update & pending) | (target & ~update));
        if (any & kTarget) judge(t);
        if (call.exact_size) learn_exactly();
        else learn_truncated();
        if (any & kUpdate) improve();
        pending = (pending | target) & ~update;
    }
    // What weights get of the gradient, by `give(take)`, which calls take(weight, slope): it is gathered until an update, or where one
    // follows at once and these weights get nothing else, they descend right here and the gradient is never stored.
    template <class Give> void blame(int64_t weights, bool alone, Give give) {
        if (!(any & kTarget)) return give([](int64_t, Net) {});
        if (at_once && alone) {
            const Net pace = trials.pace;
            const NetMask now = update;
            const NetNumbers own = weight.from(weights);
            const bool* const is_learned = static_cast<const bool*>(call.learned) + weights;
            return give([=](int64_t k, Net slope) {
                if (is_learned[k]) own.set(k, now ? own[k] - pace * slope : own[k]);
            });
        }
        const NetNumbers to = gradient.from(weights);
        give([=](int64_t k, Net slope) { to.add(k, slope); });
    }
    // Errors, the readout's gradient, and what comes back to h.
    void judge(int64_t t) {
        for (int v = 0; v < hidden; ++v) wrong.set(v, Net{});
        for (int o = 0; o < outputs; ++o) {
            const Net y = answers[o], too_much = y - wanted(t, o);
            const Net e = call.entropy_size ? too_much : too_much * net_slope(Squash(call.squash_size), y);
            answer_for(o, target ? e : Net{});
        }
    }
    Net wanted(int64_t t, int o) const {
        Net value{};
        each_net([&](int lane, int64_t net) {
            value[lane] = static_cast<const double*>(call.targets)[t * call.targets_stride.time + net * call.targets_stride.net + o];
        });
        return value;
    }
    void answer_for(int o, Net e) {
        const int64_t own = readout_at + int64_t(o) * read;
        const NetNumbers weights = weight.from(own);
        for (int v = 0; v < hidden; ++v) wrong.add(v, e * weights[v]);
        blame(own, true, [&](auto take) {
            for (int v = 0, all = hidden; v < all; ++v) take(v, e * h[v]);
            for (int n = 0; call.shortcut_size && n < active_inputs; ++n) take(hidden + active[n], e * source[active[n]]);
            take(read - 1, e);
        });
    }

    // The influence of a gate's weights on the cells: (cells, sources) for each of i, f and z, then (cells, block) of their peepholes.
    void learn_truncated() {
        if (any & kTarget)
            for (int v = 0; v < hidden; ++v) carried.set(v, wrong[v] * gate(kOutput, v) * out_slope[v]);
        int64_t at = 0;
        for (int g = 0; g < kOutput; ++g)
            for (int u = 0; learned(row, g) && u < layout.units[g]; ++u) {
                const int64_t own = int64_t(layout.rows_at[g] + u) * sources;
                for (int v = begin(g, u); v < end(g, u); ++v, at += sources) follow(influence.from(at), own, g, v);
                if (at_once && !alone(g)) descend(own, sources);
            }
        for (int g = 0; g < kOutput; ++g)
            for (int u = 0; peeps(row, g) && u < layout.units[g]; ++u) {
                const int64_t own = peephole(g, begin(g, u)), count = end(g, u) - begin(g, u);
                for (int v = begin(g, u); v < end(g, u); ++v, at += block) follow_peepholes(influence.from(at), own, g, v);
                if (at_once && !alone(g)) descend(own, count);
            }
        if (any & kTarget && learned(row, kOutput))
            for (int u = 0; u < layout.units[kOutput]; ++u) open_output(u);
    }
    bool alone(int g) const { return g == kCandidate || block == 1; }
    void follow(NetNumbers of, int64_t weights, int g, int v) {
        const Net by = coefficient[g][v], keeps = fade[v], e = carried[v];
        const NetNumbers from = source;
        if (is_open(kForget))
            for (int n = 0; n < actives; ++n) of.add(active[n], by * from[active[n]]);
        blame(weights, alone(g), [=, open = is_open(kForget), count = sources](auto take) {
            for (int k = 0; k < count; ++k) {
                const Net moved = open ? of[k] : keeps * of[k] + by * from[k];
                if (!open) of.set(k, moved);
                take(k, e * moved);
            }
        });
    }
    void follow_peepholes(NetNumbers of, int64_t weights, int g, int v) {
        const Net by = coefficient[g][v], keeps = fade[v], e = carried[v];
        const int from = begin(g, unit(g, v)), count = end(g, unit(g, v)) - from;
        blame(weights, alone(g), [&](auto take) {
            for (int n = 0; n < count; ++n) {
                const Net moved = keeps * of[n] + by * old_cell(from + n);
                of.set(n, moved);
                take(n, e * moved);
            }
        });
    }
    void open_output(int u) {
        const int r = layout.rows_at[kOutput] + u, from = begin(kOutput, u), to = end(kOutput, u);
        Net e{};
        for (int v = from; v < to; ++v) e += wrong[v] * out[v];
        e *= slopes[r];
        blame(int64_t(r) * sources, true, [&](auto take) {
            for (int n = 0, count = actives; n < count; ++n) take(active[n], e * source[active[n]]);
        });
        if (!peeps(row, kOutput)) return;
        blame(peephole(kOutput, from), true, [&](auto take) {
            for (int v = from; v < to; ++v) take(v - from, e * (sees_new_cell(kOutput) ? cell[v] : old_cell(v)));
        });
    }

    // The influence of every weight on the whole state: (weights of W and p, states).
    void learn_exactly() {
        const bool* is_learned = static_cast<const bool*>(call.learned);
        for (int r = 0; r < layout.rows; ++r)
            for (int k = 0; k < sources; ++k)
                if (const int64_t n = int64_t(r) * sources + k; is_learned[n]) spread(n, r, source[k]);
        for (int g = 0; g < kGates; ++g)
            for (int v = 0; peeps(row, g) && v < hidden; ++v)
                if (is_learned[peephole(g, v)])
                    spread(peephole(g, v), layout.rows_at[g] + unit(g, v), sees_new_cell(g) ? cell[v] : old_cell(v));
    }
    // One weight, which `direct` brings into row r at this step.
    void spread(int64_t n, int r, Net direct) {
        const NetNumbers before = influence.from(n * states);
        for (int g = 0; g < kGates; ++g)
            for (int u = 0; learned(row, g) && u < layout.units[g]; ++u) pre.set(layout.rows_at[g] + u, recurs(before, g, u));
        pre.add(r, direct);
        const auto by = [&](int g, int v) { return learned(row, g) ? coefficient[g][v] * pre[layout.rows_at[g] + unit(g, v)] : Net{}; };
        for (int v = 0; v < hidden; ++v) next.set(hidden + v, fade[v] * before[hidden + v] + by(kInput, v) + by(kForget, v) + by(kCandidate, v));
        for (int v = 0; peeps(row, kOutput) && sees_new_cell(kOutput) && v < hidden; ++v)
            pre.add(layout.rows_at[kOutput] + unit(kOutput, v), weight[peephole(kOutput, v)] * next[hidden + v]);
        for (int g = 0; g < kGates; ++g)
            for (int u = 0; g != kCandidate && learned(row, g) && u < layout.units[g]; ++u)
                next.set(2 * hidden + sent_at[g] + u, slopes[layout.rows_at[g] + u] * pre[layout.rows_at[g] + u]);
        Net sum{};
        for (int v = 0; v < hidden; ++v) {
            Net moved = gate(kOutput, v) * out_slope[v] * next[hidden + v];
            if (learned(row, kOutput)) moved += out[v] * next[2 * hidden + sent_at[kOutput] + unit(kOutput, v)];
            next.set(v, moved);
            if (any & kTarget) sum += wrong[v] * moved;
        }
        if (any & kTarget) gradient.add(n, sum);
        for (int s = 0; s < states; ++s) before.set(s, next[s]);
    }
    Net recurs(NetNumbers before, int g, int u) const {
        const NetNumbers weights = weight.from(int64_t(layout.rows_at[g] + u) * sources + inputs);
        Net sum{}, other{};
        for (int y = 0; y < hidden; ++y) sum += weights[y] * before[y];
        for (int y = hidden; y < recurring; ++y) other += weights[y] * before[place(y)];
        for (int v = begin(g, u); peeps(row, g) && !sees_new_cell(g) && v < end(g, u); ++v) other += weight[peephole(g, v)] * before[hidden + v];
        return sum + other;
    }

    void improve() {
        if (!at_once) descend(0, call.weights_size);
        if (trials.on()) trials.fade(update);
    }
    // So many weights against their gradient, which is zero afterwards.
    void descend(int64_t from, int64_t count) {
        const bool* is_learned = static_cast<const bool*>(call.learned) + from;
        const NetNumbers weights = weight.from(from), slopes = gradient.from(from), moving = {velocity.to ? velocity.from(from).to : nullptr};
        for (int64_t n = 0; n < count; ++n) {
            const Net slope = slopes[n];
            slopes.set(n, update ? Net{} : slope);
            if (!is_learned[n]) continue;
            Net step = trials.pace * slope;
            if (moving.to) {
                step += momentum * moving[n];
                moving.set(n, update ? step : moving[n]);
            }
            weights.set(n, update ? weights[n] - step : weights[n]);
        }
    }

    void pass() {
        const NetMask awake = trials.awake();
        for (int v = 0; v < hidden; ++v) state.set(v, awake ? h[v] : Net{}), state.set(hidden + v, awake ? cell[v] : Net{});
        for (int g = 0; g < kGates; ++g)
            for (int u = 0; g != kCandidate && learned(row, g) && u < layout.units[g]; ++u) state.set(2 * hidden + sent_at[g] + u, awake ? value[layout.rows_at[g] + u] : Net{});
        for (int n = 0; n < active_inputs; ++n) source.set(active[n], Net{});
    }
};

}  // namespace carousel::CAROUSEL_TARGET
