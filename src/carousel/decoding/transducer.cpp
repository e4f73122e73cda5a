#include "transducer.h"
#include <cmath>

namespace carousel::decoding {
namespace {

constexpr size_t kLookedAt = 10;  // hypotheses that a frame extends at most, for each that it keeps

void check(const double* log_probs, int64_t time) {
    if (std::isnan(log_probs[0])) throw std::domain_error("the network says NaN at frame " + std::to_string(time));
}

}  // namespace

int64_t Memories::take() {
    if (free_.empty()) {
        all_.push_back(std::make_unique<std::byte[]>(size_));
        return int64_t(all_.size()) - 1;
    }
    const int64_t at = free_.back();
    free_.pop_back();
    return at;
}

void TransducerSearch::push(const void* frames, int64_t count) {
    const auto* bytes = static_cast<const std::byte*>(frames);
    for (int64_t t = 0; t < count; ++t, ++time_) step(bytes + t * networks_.frame * networks_.number);
}

// A softmax with one NaN is all NaN.
void TransducerSearch::join(const void* frame, const Integers& memories, double* log_probs) {
    std::vector<const void*> said;
    for (const int64_t each : memories) said.push_back(memories_.said(each));
    networks_.join(networks_, frame, said.data(), int64_t(said.size()), log_probs);
    for (size_t row = 0; row < said.size(); ++row) check(log_probs + row * size_t(networks_.symbols), time_);
}

Found TransducerSearch::report(Integers labels, int64_t emission, double acoustic, double score) const {
    const size_t count = labels.size();
    Found found{std::move(labels), Integers(count), Integers(count), Reals(count), acoustic, score};
    for (size_t at = count; at--; emission = emissions_[emission].before) {
        const Emission& each = emissions_[emission];
        found.starts[at] = each.time, found.ends[at] = each.time + 1, found.peaks[at] = each.cost;
    }
    return found;
}

TransducerGreedySearch::TransducerGreedySearch(int64_t most, const Networks& networks)
    : TransducerSearch(networks), most_(most), memory_(memories_.take()), costs_(size_t(networks.symbols)) {
    networks_.predict(networks_, -1, nullptr, memories_.state(memory_), memories_.said(memory_));
}

void TransducerGreedySearch::step(const void* frame) {
    for (int64_t emitted = 0;; ++emitted) {
        join(frame, {memory_}, costs_.data());
        const int64_t best = emitted < most_ ? std::max_element(costs_.begin(), costs_.end()) - costs_.begin() : networks_.blank;
        total_ += costs_[size_t(best)];
        if (best == networks_.blank) return;
        emit(best, costs_[size_t(best)]);
    }
}

void TransducerGreedySearch::emit(int64_t label, double cost) {
    labels_.push_back(label);
    emission_ = emissions_.add({emission_, time_, cost});
    const int64_t before = std::exchange(memory_, memories_.take());
    networks_.predict(networks_, label, memories_.state(before), memories_.state(memory_), memories_.said(memory_));
    memories_.give_back(before);
}

std::vector<Found> TransducerGreedySearch::best(int64_t count) const {
    if (count < 1) return {};
    return {report(labels_, emission_, total_, total_)};
}

TransducerBeamSearch::TransducerBeamSearch(std::shared_ptr<const TransducerSettings> settings, const Networks& networks, int64_t least)
    : TransducerSearch(networks), settings_(std::move(settings)), prefixes_(Prefix()), held_(1), entry_of_{0}, least_(size_t(least)),
      crowd_(least_) {
    if (settings_->language && settings_->begin >= 0) prefixes_[0].state = settings_->language->after(0, settings_->begin).next;
}

void TransducerBeamSearch::step(const void* frame) {
    frame_ = frame, ++round_;
    hear();
    growing_.clear();
    for (const Reading& reading : held_) {
        const Reading now = merged(reading);
        growing_.push_back({-now.score(), -1, 0, now});
    }
    extend();
    select();
    forget();
}

// The log-probabilities after all that is held, at once.
void TransducerBeamSearch::hear() {
    Integers memories;
    for (size_t at = 0; at < held_.size(); ++at) {
        predict(held_[at].prefix);
        Prefix& prefix = prefixes_[held_[at].prefix];
        prefix.heard = round_, prefix.row = int64_t(at);
        memories.push_back(prefix.memory);
    }
    costs_.resize(held_.size() * size_t(settings_->symbols));
    join(frame_, memories, costs_.data());
}

// A hypothesis with what leads to it from beginnings of it that are held too, by labels of this frame alone.
TransducerBeamSearch::Reading TransducerBeamSearch::merged(const Reading& reading) {
    Reading now = reading;
    Integers path;
    for (int64_t at = reading.prefix; prefixes_[at].parent >= 0 && int64_t(path.size()) < settings_->most; at = prefixes_[at].parent)
        path.push_back(at);
    for (size_t size = path.size(); size; --size) {
        const int64_t from = entry_of_[size_t(prefixes_[path[size - 1]].parent)];
        if (from >= 0) merge(held_[size_t(from)], path, size, now);
    }
    return now;
}

// `path`: prefixes from the longest down, the first `size` of them longer than where it leads from.
void TransducerBeamSearch::merge(const Reading& from, const Integers& path, size_t size, Reading& into) {
    Reals costs;
    double sum = 0;
    for (size_t at = size; at--;) {
        const int64_t parent = prefixes_[path[at]].parent, label = prefixes_[path[at]].label;
        costs.push_back(this->costs(parent)[label]);
        sum += costs.back();
    }
    into.total = log_add(into.total, from.total + sum);
    if (!(from.best + sum > into.best)) return;
    into.best = from.best + sum, into.emission = from.emission;
    for (const double cost : costs) into.emission = emissions_.add({into.emission, time_, cost});
}

// The likeliest first, until so many as are kept have gone on that are likelier than all others.
void TransducerBeamSearch::extend() {
    const auto later = [&](const Growing& a, const Growing& b) { return a.cost != b.cost ? a.cost > b.cost : labels_of(a) > labels_of(b); };
    std::make_heap(growing_.begin(), growing_.end(), later);
    gone_.clear(), bound_.clear();
    while (!growing_.empty()) {
        std::pop_heap(growing_.begin(), growing_.end(), later);
        const Growing next = growing_.back();
        growing_.pop_back();
        if (is_over(next.cost) || gone_.size() >= kLookedAt * size_t(settings_->beam)) break;
        const Reading reading = next.label < 0 ? next.reading : made(next);
        go_on(reading, costs(reading.prefix)[settings_->blank]);
        if (next.emitted >= settings_->most) continue;
        const size_t before = growing_.size();
        offer(reading, next.emitted + 1);
        for (size_t size = before; size++ < growing_.size();) std::push_heap(growing_.begin(), growing_.begin() + int64_t(size), later);
    }
}

// One label more, but for those that were held before the frame: there this way has been counted. What cannot come into the beam any
// more is left out.
void TransducerBeamSearch::offer(const Reading& reading, int64_t emitted) {
    const double* costs = this->costs(reading.prefix);
    std::vector<char> held(size_t(settings_->symbols));
    for (int64_t at = prefixes_[reading.prefix].child; at >= 0; at = prefixes_[at].sibling)
        held[size_t(prefixes_[at].label)] = entry_of_[size_t(at)] >= 0;
    for (int64_t label = 0; label < settings_->symbols; ++label) {
        if (label == settings_->blank || held[size_t(label)] || costs[label] == kNever) continue;
        Reading longer = reading;
        longer.total += costs[label], longer.best += costs[label], longer.language += gain(prefixes_[reading.prefix], label);
        if (!is_over(-longer.score())) growing_.push_back({-longer.score(), label, emitted, longer});
    }
}

// What bonus and language model add for one label more.
double TransducerBeamSearch::gain(const Prefix& prefix, int64_t label) const {
    if (!settings_->language) return settings_->bonus;
    return settings_->bonus + settings_->weight * settings_->language->after(prefix.state, settings_->word[size_t(label)]).cost;
}

void TransducerBeamSearch::go_on(Reading reading, double blank) {
    reading.total += blank, reading.best += blank;
    gone_.push_back(reading);
    bound_.push_back(-reading.score());
    std::push_heap(bound_.begin(), bound_.end());
    if (bound_.size() <= size_t(settings_->beam)) return;
    std::pop_heap(bound_.begin(), bound_.end());
    bound_.pop_back();
}

// Whether a whole beam has gone on that is likelier.
bool TransducerBeamSearch::is_over(double cost) const { return bound_.size() == size_t(settings_->beam) && bound_.front() < cost; }

TransducerBeamSearch::Reading TransducerBeamSearch::made(const Growing& growing) {
    Reading reading = growing.reading;
    reading.emission = emissions_.add({reading.emission, time_, costs(reading.prefix)[growing.label]});
    reading.prefix = child(reading.prefix, growing.label);
    return reading;
}

void TransducerBeamSearch::select() {
    std::stable_sort(gone_.begin(), gone_.end(), [](const Reading& a, const Reading& b) { return a.score() > b.score(); });
    if (gone_.size() > size_t(settings_->beam)) gone_.resize(size_t(settings_->beam));
    for (const Reading& reading : held_) entry_of_[size_t(reading.prefix)] = -1;
    held_.swap(gone_);
    for (size_t at = 0; at < held_.size(); ++at) entry_of_[size_t(held_[at].prefix)] = int64_t(at);
}

// Memory goes back but for what is held and what may lead to it in one frame; label sequences go when there are many.
void TransducerBeamSearch::forget() {
    for (const Reading& reading : held_) {
        int64_t at = reading.prefix;
        for (int64_t left = settings_->most; at >= 0 && left >= 0; --left, at = prefixes_[at].parent) prefixes_[at].wanted = round_;
    }
    const auto unwanted = [&](int64_t at) {
        Prefix& prefix = prefixes_[at];
        if (prefix.wanted == round_) return false;
        memories_.give_back(std::exchange(prefix.memory, -1));
        return true;
    };
    remembered_.erase(std::remove_if(remembered_.begin(), remembered_.end(), unwanted), remembered_.end());
    if (prefixes_.size() <= crowd_ && emissions_.size() <= crowd_) return;
    prefixes_.forget(held_);
    entry_of_.assign(prefixes_.size(), -1);
    for (size_t at = 0; at < held_.size(); ++at) entry_of_[size_t(held_[at].prefix)] = int64_t(at);
    remembered_.clear();
    for (size_t at = 0; at < prefixes_.size(); ++at)
        if (prefixes_[int64_t(at)].memory >= 0) remembered_.push_back(int64_t(at));
    std::vector<int64_t*> ends;
    for (Reading& reading : held_) ends.push_back(&reading.emission);
    emissions_.forget(ends);
    crowd_ = std::max(least_, 2 * std::max(prefixes_.size(), emissions_.size()));
}

// What the prediction network says after these labels: asked once, when it is wanted.
void TransducerBeamSearch::predict(int64_t at) {
    if (prefixes_[at].memory >= 0) return;
    const int64_t parent = prefixes_[at].parent, memory = memories_.take();
    if (parent >= 0) predict(parent);
    const void* before = parent < 0 ? nullptr : memories_.state(prefixes_[parent].memory);
    networks_.predict(networks_, prefixes_[at].label, before, memories_.state(memory), memories_.said(memory));
    prefixes_[at].memory = memory;
    remembered_.push_back(at);
}

// Log-probabilities of all labels after these, in this frame; only until the next ones are asked for.
const double* TransducerBeamSearch::costs(int64_t at) {
    if (prefixes_[at].heard != round_) {
        predict(at);
        prefixes_[at].heard = round_, prefixes_[at].row = int64_t(costs_.size()) / settings_->symbols;
        costs_.resize(costs_.size() + size_t(settings_->symbols));
        join(frame_, {prefixes_[at].memory}, costs_.data() + prefixes_[at].row * settings_->symbols);
    }
    return costs_.data() + prefixes_[at].row * settings_->symbols;
}

int64_t TransducerBeamSearch::child(int64_t parent, int64_t label) {
    const int64_t known = prefixes_.find(parent, label);
    if (known >= 0) return known;
    Prefix longer;
    if (settings_->language) longer.state = settings_->language->after(prefixes_[parent].state, settings_->word[size_t(label)]).next;
    entry_of_.push_back(-1);
    return prefixes_.add(parent, label, longer);
}

Integers TransducerBeamSearch::labels_of(const Growing& growing) const {
    Integers labels = prefixes_.labels(growing.reading.prefix);
    if (growing.label >= 0) labels.push_back(growing.label);
    return labels;
}

double TransducerBeamSearch::rank(const Reading& reading) const {
    return settings_->normalized ? reading.score() / double(std::max<int64_t>(1, prefixes_[reading.prefix].length)) : reading.score();
}

std::vector<Found> TransducerBeamSearch::best(int64_t count) const {
    std::vector<const Reading*> ranked;
    for (const Reading& reading : held_) ranked.push_back(&reading);
    std::stable_sort(ranked.begin(), ranked.end(), [&](const Reading* a, const Reading* b) { return rank(*a) > rank(*b); });
    std::vector<Found> found;
    for (size_t at = 0; at < ranked.size() && int64_t(at) < count; ++at)
        found.push_back(report(prefixes_.labels(ranked[at]->prefix), ranked[at]->emission, ranked[at]->total, ranked[at]->score()));
    return found;
}

}  // namespace carousel::decoding
