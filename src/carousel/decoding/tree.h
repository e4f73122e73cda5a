// What searches remember: label sequences as a tree, and chains of what stands behind each other. Both forget what leads to nothing
// that is held.
#pragma once
#include <algorithm>
#include <utility>
#include "language.h"

namespace carousel::decoding {

// A label sequence: the one before its last label, and one of those that are a label longer.
struct Branch {
    int64_t parent = -1, child = -1, sibling = -1, label = -1, length = 0;
};

// Node 0 is the empty sequence. Parents stand before their children. A Node is a Branch.
template <class Node> class Tree {
public:
    explicit Tree(const Node& root) : nodes_{root} {}

    size_t size() const { return nodes_.size(); }
    Node& operator[](int64_t at) { return nodes_[size_t(at)]; }
    const Node& operator[](int64_t at) const { return nodes_[size_t(at)]; }

    // One label more, or -1 if that is not known.
    int64_t find(int64_t parent, int64_t label) const {
        int64_t at = (*this)[parent].child;
        while (at >= 0 && (*this)[at].label != label) at = (*this)[at].sibling;
        return at;
    }

    int64_t add(int64_t parent, int64_t label, Node node) {
        Branch& branch = node;
        branch = {parent, -1, (*this)[parent].child, label, (*this)[parent].length + 1};
        nodes_.push_back(std::move(node));
        return (*this)[parent].child = int64_t(nodes_.size()) - 1;
    }

    // The labels from the first to the last.
    Integers labels(int64_t at) const {
        Integers found(size_t((*this)[at].length));
        for (; (*this)[at].parent >= 0; at = (*this)[at].parent) found[size_t((*this)[at].length) - 1] = (*this)[at].label;
        return found;
    }

    // How many first labels all of these have in common; of none, 0.
    template <class Held> int64_t common(const std::vector<Held>& held) const {
        if (held.empty()) return 0;
        int64_t first = held.front().prefix;
        for (const Held& each : held) {
            int64_t other = each.prefix;
            while (first != other) {
                int64_t& longer = (*this)[first].length >= (*this)[other].length ? first : other;
                longer = (*this)[longer].parent;
            }
        }
        return (*this)[first].length;
    }

    // Keeps only what leads to something that is held, which is told where it stands now.
    template <class Held> void forget(std::vector<Held>& held) {
        Integers place(nodes_.size(), -1);
        for (const Held& each : held)
            for (int64_t at = each.prefix; at >= 0 && place[size_t(at)] < 0; at = (*this)[at].parent) place[size_t(at)] = 0;
        std::vector<Node> kept;
        for (size_t at = 0; at < nodes_.size(); ++at)
            if (place[at] >= 0) place[at] = move(nodes_[at], place, kept);
        nodes_ = std::move(kept);
        for (Held& each : held) each.prefix = place[size_t(each.prefix)];
    }

private:
    static int64_t move(Node& node, const Integers& place, std::vector<Node>& kept) {
        const int64_t to = int64_t(kept.size());
        node.child = node.sibling = -1;
        if (node.parent >= 0) {
            Node& parent = kept[size_t(node.parent = place[size_t(node.parent)])];
            node.sibling = std::exchange(parent.child, to);
        }
        kept.push_back(std::move(node));
        return to;
    }

    std::vector<Node> nodes_;
};

// Links that name what stands before them; a chain is known by its last link, -1 is the empty one.
template <class Link> class Chains {
public:
    size_t size() const { return links_.size(); }
    const Link& operator[](int64_t at) const { return links_[size_t(at)]; }
    int64_t add(const Link& link) {
        links_.push_back(link);
        return int64_t(links_.size()) - 1;
    }

    // Keeps only what these ends lead back to; they are told where it stands now.
    void forget(const std::vector<int64_t*>& ends) {
        Integers place(links_.size(), -1);
        for (const int64_t* end : ends)
            for (int64_t at = *end; at >= 0 && place[size_t(at)] < 0; at = links_[size_t(at)].before) place[size_t(at)] = 0;
        std::vector<Link> kept;
        const auto now = [&](int64_t before) { return before < 0 ? -1 : place[size_t(before)]; };
        for (size_t at = 0; at < links_.size(); ++at) {
            if (place[at] < 0) continue;
            place[at] = int64_t(kept.size());
            kept.push_back(links_[at]);
            kept.back().before = now(kept.back().before);
        }
        links_ = std::move(kept);
        for (int64_t* end : ends) *end = now(*end);
    }

private:
    std::vector<Link> links_;
};

// One reading, as a search reports it.
struct Found {
    Integers labels, starts, ends;
    Reals peaks;
    double acoustic, score;
};

}  // namespace carousel::decoding
