// SPDX-License-Identifier: GPL-2.0-or-later
// Work for a compiler: CASES times the same work on different types.
#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#ifndef CASES
#define CASES 17
#endif

template <int N> struct Item {
	std::string name;
	std::vector<std::pair<int, std::string>> parts;
	bool operator<(const Item &other) const { return name < other.name; }
};

template <int N> int work(int seed)
{
	std::map<std::string, std::shared_ptr<Item<N>>> items;
	std::vector<Item<N>> sorted;
	std::function<int(const Item<N> &)> size = [seed](const Item<N> &item) {
		return static_cast<int>(item.parts.size()) + seed;
	};

	for (int i = 0; i < seed + N; i++) {
		auto item = std::make_shared<Item<N>>();
		item->name = std::to_string(i * 7919 % 101);
		item->parts.emplace_back(i, item->name);
		items[item->name] = item;
	}
	for (const auto &entry : items)
		sorted.push_back(*entry.second);
	std::sort(sorted.begin(), sorted.end());
	return sorted.empty() ? 0 : size(sorted.front());
}

template <int... N> int all(int seed, std::integer_sequence<int, N...>)
{
	const int sums[] = {work<N>(seed)...};

	return sums[sizeof...(N) / 2];
}

int main(int argc, char **)
{
	return all(argc, std::make_integer_sequence<int, CASES>());
}
