// SPDX-License-Identifier: GPL-2.0-or-later
/* What C++ programs do that allocates, in two threads without end: maps, strings, streams, exceptions, expressions. */
#include <algorithm>
#include <functional>
#include <future>
#include <iostream>
#include <map>
#include <memory>
#include <regex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "target.h"

namespace
{

struct shape {
	virtual ~shape() = default;
	virtual std::string name() const = 0;
};

struct square final : shape {
	std::string name() const override
	{
		return "a square whose name is too long for the string itself";
	}
};

std::map<std::string, std::vector<int>> count_words(const std::string &text)
{
	std::map<std::string, std::vector<int>> words;
	std::istringstream in(text);
	std::string word;

	for (int i = 0; in >> word; i++)
		words[word + " that is made longer"].push_back(i);
	return words;
}

int parse(const std::string &text)
{
	if (text.find("7") != std::string::npos)
		throw std::runtime_error("no good number: " + text);
	return std::stoi(text);
}

int parse_all()
{
	int sum = 0;

	for (int i = 0; i < 40; i++) {
		try {
			sum += parse(std::to_string(i * 3));
		} catch (const std::exception &e) {
			sum -= static_cast<int>(std::string(e.what()).size());
		}
	}
	return sum;
}

size_t match(const std::string &text)
{
	static const std::regex words("([a-z]+)-([a-z]+)|([0-9]{2,})(x*)");
	auto begin = std::sregex_iterator(text.begin(), text.end(), words);

	return static_cast<size_t>(std::distance(begin, std::sregex_iterator()));
}

std::string shapes()
{
	std::vector<std::shared_ptr<shape>> all;
	std::unordered_map<int, std::function<std::string()>> later;
	std::ostringstream out;

	for (int i = 0; i < 30; i++) {
		auto one = std::make_shared<square>();

		all.push_back(one);
		later[i] = [one, i] { return one->name() + std::to_string(i); };
	}
	std::sort(all.begin(), all.end());
	for (const auto &f : later)
		out << f.second() << ' ' << std::hex << f.first;
	return out.str();
}

void run(int id)
{
	for (int i = 0;; i++) {
		std::string text = shapes();
		auto words = count_words(text);
		auto sum = std::async(std::launch::deferred, parse_all);

		text += "ab-cd 1234xx " + std::to_string(words.size() + match("ab-cd 12xx") + sum.get());
		if (i == 0 && id == 0)
			target_write("ready\n");
	}
}

} // namespace

int main()
{
	std::thread other(run, 1);

	run(0);
	other.join();
}
