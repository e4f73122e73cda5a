#include "prefix.h"
#include <algorithm>
#include <cmath>

namespace carousel::decoding {

PrefixSearch::PrefixSearch(std::shared_ptr<const Settings> settings, int64_t least)
    : settings_(std::move(settings)), prefixes_(Prefix()), least_(size_t(least)), crowd_(least_) {
    if (settings_->language && settings_->begin >= 0) prefixes_[0].state = settings_->language->after(0, settings_->begin).next;
    Entry first;
    first.blank = first.best_blank = 0;
    held_.push_back(first);
    entry_of_.push_back(0);
    // What an extension may gain at most besides what the network gives it.
    gain_ = settings_->bonus > 0 ? settings_->bonus : 0;
    if (settings_->language) gain_ += settings_->weight * std::max(0.0, settings_->language->greatest());
}

void PrefixSearch::push(const double* frames, int64_t count) {
    for (int64_t t = 0; t < count; ++t) step(frames + t * settings_->symbols);
}

void PrefixSearch::step(const double* frame) {
    extend(frame);
    select(frame);
    ++time_;
    if (prefixes_.size() > crowd_ || spikes_.size() > crowd_) forget();
}

// What is held stays as it is, by a blank or by its last label again, or comes from its parent, if that is held too.
void PrefixSearch::extend(const double* frame) {
    const int64_t symbols = settings_->symbols;
    next_.assign(held_.size(), Entry());
    present_.assign(held_.size() * size_t(symbols), -1);
    frozen_.assign(held_.size(), {-1, -1});
    for (size_t at = 0; at < held_.size(); ++at) {
        const Entry& now = held_[at];
        Entry& then = next_[at];
        const double silence = frame[settings_->blank];
        const int64_t last = prefixes_[now.prefix].label;
        then.prefix = now.prefix;
        then.blank = now.total() + silence;
        const bool from_blank = now.best_blank >= now.best_label;
        then.best_blank = (from_blank ? now.best_blank : now.best_label) + silence;
        then.spike_blank = from_blank ? now.spike_blank : now.spike_label;
        if (last < 0) continue;
        then.label = now.label + frame[last];
        then.best_label = now.best_label + frame[last];
        then.spike_label = now.spike_label;
        then.spike_label.end = time_ + 1;
        then.spike_label.peak = std::max(then.spike_label.peak, frame[last]);
    }
    for (size_t at = 0; at < held_.size(); ++at) {
        const Prefix& prefix = prefixes_[held_[at].prefix];
        const int64_t from = prefix.parent < 0 ? -1 : entry_of_[size_t(prefix.parent)];
        if (from >= 0) merge(frame, from, int64_t(at));
    }
}

void PrefixSearch::merge(const double* frame, int64_t from, int64_t into) {
    const Entry& parent = held_[size_t(from)];
    Entry& then = next_[size_t(into)];
    const int64_t label = prefixes_[then.prefix].label, last = prefixes_[parent.prefix].label;
    present_[size_t(from * settings_->symbols + label)] = into;
    then.label = log_add(then.label, frame[label] + (label == last ? parent.blank : parent.total()));
    double best;
    const Spike spike = following(frame, from, label, best);
    if (best > then.best_label) then.best_label = best, then.spike_label = spike;
}

// The spike of a label that begins now after an entry, and the best alignment that leads there.
Spike PrefixSearch::following(const double* frame, int64_t from, int64_t label, double& best) {
    const Entry& parent = held_[size_t(from)];
    const bool again = label == prefixes_[parent.prefix].label, blank = again || parent.best_blank >= parent.best_label;
    best = (blank ? parent.best_blank : parent.best_label) + frame[label];
    return {best == kNever ? -1 : freeze(from, blank), time_, time_ + 1, frame[label]};
}

int64_t PrefixSearch::freeze(int64_t from, bool blank) {
    const Entry& entry = held_[size_t(from)];
    if (prefixes_[entry.prefix].label < 0) return -1;
    int64_t& place = blank ? frozen_[size_t(from)].first : frozen_[size_t(from)].second;
    if (place < 0) place = spikes_.add(blank ? entry.spike_blank : entry.spike_label);
    return place;
}

// All extensions that are not held yet and are good enough to be.
void PrefixSearch::offer(const double* frame, int64_t from) {
    const Entry& entry = held_[size_t(from)];
    const Prefix& prefix = prefixes_[entry.prefix];
    const double total = entry.total();
    for (int64_t label = 0; label < settings_->symbols; ++label) {
        if (label == settings_->blank || present_[size_t(from * settings_->symbols + label)] >= 0) continue;
        const double acoustic = frame[label] + (label == prefix.label ? entry.blank : total);
        if (acoustic == kNever || acoustic + prefix.language + gain_ < bound_) continue;
        Change to;
        if (!change(prefix, label, to)) continue;
        const double score = acoustic + to.language;
        if (score >= bound_ && score > kNever) candidates_.push_back({score, from, label});
    }
}

// What a label adds to a prefix; false where no word goes on so.
bool PrefixSearch::change(const Prefix& prefix, int64_t label, Change& to) const {
    to = {prefix.language, prefix.state, prefix.spelt};
    if (settings_->dictionary) {
        if (label == settings_->separator) return end_word(prefix, to);
        to.spelt = prefix.spelt < 0 ? -1 : settings_->dictionary->next(prefix.spelt, label);
        return to.spelt >= 0 || !settings_->closed;
    }
    to.language += settings_->bonus;
    if (!settings_->language) return true;
    const auto arc = settings_->language->after(prefix.state, settings_->word[size_t(label)]);
    to.language += settings_->weight * arc.cost, to.state = arc.next;
    return true;
}

// The word that was spelt last is whole; false if there is none, or it is not allowed.
bool PrefixSearch::end_word(const Prefix& prefix, Change& to) const {
    to = {prefix.language + settings_->bonus, prefix.state, 0};
    if (prefix.spelt == 0) return false;
    const int64_t word = prefix.spelt < 0 ? -1 : settings_->dictionary->word(prefix.spelt);
    if (word < 0 && settings_->closed) return false;
    if (!settings_->language) return true;
    const auto arc = settings_->language->after(prefix.state, word < 0 ? settings_->unknown : settings_->word[size_t(word)]);
    to.language += settings_->weight * arc.cost, to.state = arc.next;
    return true;
}

bool PrefixSearch::finish(const Prefix& prefix, double& language) const {
    Change to{prefix.language, prefix.state, prefix.spelt};
    if (settings_->dictionary && prefix.length > 0 && !end_word(prefix, to)) return false;
    language = to.language;
    if (settings_->language && settings_->end >= 0) language += settings_->weight * settings_->language->after(to.state, settings_->end).cost;
    return true;
}

// The best of what was held and of its extensions.
void PrefixSearch::select(const double* frame) {
    const size_t beam = size_t(settings_->beam);
    const auto score = [&](const Entry& entry) { return entry.total() + prefixes_[entry.prefix].language; };
    candidates_.clear();
    scores_.clear();
    for (size_t at = 0; at < next_.size(); ++at) scores_.push_back(score(next_[at]));
    for (size_t at = 0; at < next_.size(); ++at)
        if (scores_[at] > kNever) candidates_.push_back({scores_[at], int64_t(at), -1});
    bound_ = scores_.size() < beam ? kNever : *std::min_element(scores_.begin(), scores_.end());
    for (size_t at = 0; at < held_.size(); ++at) offer(frame, int64_t(at));
    const auto better = [](const Candidate& a, const Candidate& b) { return a.score > b.score; };
    if (candidates_.size() > beam) {
        std::nth_element(candidates_.begin(), candidates_.begin() + int64_t(beam), candidates_.end(), better);
        candidates_.resize(beam);
    }
    for (const Entry& entry : held_) entry_of_[size_t(entry.prefix)] = -1;
    std::vector<Entry> chosen;
    chosen.reserve(candidates_.size());
    for (const Candidate& each : candidates_) chosen.push_back(each.label < 0 ? next_[size_t(each.entry)] : grown(frame, each));
    held_ = std::move(chosen);
    for (size_t at = 0; at < held_.size(); ++at) entry_of_[size_t(held_[at].prefix)] = int64_t(at);
}

PrefixSearch::Entry PrefixSearch::grown(const double* frame, const Candidate& candidate) {
    const Entry& from = held_[size_t(candidate.entry)];
    const bool again = candidate.label == prefixes_[from.prefix].label;
    Entry entry;
    entry.label = frame[candidate.label] + (again ? from.blank : from.total());
    entry.spike_label = following(frame, candidate.entry, candidate.label, entry.best_label);
    entry.prefix = child(from.prefix, candidate.label);
    return entry;
}

// One prefix is one node, even where it was dropped and comes back, since longer ones may still be held.
int64_t PrefixSearch::child(int64_t parent, int64_t label) {
    const int64_t known = prefixes_.find(parent, label);
    if (known >= 0) return known;
    Change to{};
    change(prefixes_[parent], label, to);
    Prefix made;
    made.state = to.state, made.spelt = to.spelt, made.language = to.language;
    entry_of_.push_back(-1);
    return prefixes_.add(parent, label, made);
}

std::vector<Found> PrefixSearch::best(int64_t count, bool whole) const {
    std::vector<std::pair<double, const Entry*>> ranked;
    for (const Entry& entry : held_) {
        double language = prefixes_[entry.prefix].language;
        if (whole && !finish(prefixes_[entry.prefix], language)) continue;
        ranked.push_back({entry.total() + language, &entry});
    }
    std::stable_sort(ranked.begin(), ranked.end(), [](const auto& a, const auto& b) { return a.first > b.first; });
    std::vector<Found> found;
    for (size_t at = 0; at < ranked.size() && int64_t(at) < count; ++at) found.push_back(report(*ranked[at].second, ranked[at].first));
    return found;
}

Found PrefixSearch::report(const Entry& entry, double score) const {
    Found found{prefixes_.labels(entry.prefix), {}, {}, {}, entry.total(), score};
    Spike spike = entry.best_blank >= entry.best_label ? entry.spike_blank : entry.spike_label;
    for (size_t left = found.labels.size(); left; --left) {
        found.starts.push_back(spike.start), found.ends.push_back(spike.end), found.peaks.push_back(spike.peak);
        spike = spike.before < 0 ? Spike() : spikes_[spike.before];
    }
    for (Integers* each : {&found.starts, &found.ends}) std::reverse(each->begin(), each->end());
    std::reverse(found.peaks.begin(), found.peaks.end());
    return found;
}

// Keeps only what leads to something that is held.
void PrefixSearch::forget() {
    prefixes_.forget(held_);
    entry_of_.assign(prefixes_.size(), -1);
    for (size_t at = 0; at < held_.size(); ++at) entry_of_[size_t(held_[at].prefix)] = int64_t(at);
    std::vector<int64_t*> ends;
    for (Entry& entry : held_) ends.insert(ends.end(), {&entry.spike_blank.before, &entry.spike_label.before});
    spikes_.forget(ends);
    crowd_ = std::max(least_, 2 * std::max(prefixes_.size(), spikes_.size()));
}

}  // namespace carousel::decoding
