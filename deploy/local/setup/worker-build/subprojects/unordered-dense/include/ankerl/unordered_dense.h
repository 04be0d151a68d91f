// The part of ankerl::unordered_dense that mediasoup's worker uses, over Abseil's flat hash tables.
//
// Why not the real one: it is published on a site that an offline machine cannot reach, and Debian 12 has no
// package of it. Differences that the worker does not lean on: iteration is not in insertion order, and
// erasing does not move the last element into the gap.
#ifndef PLENARY_SHIM_ANKERL_UNORDERED_DENSE_H
#define PLENARY_SHIM_ANKERL_UNORDERED_DENSE_H

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>
#include <absl/hash/hash.h>
#include <functional>
#include <utility>

namespace ankerl::unordered_dense
{
	// Abseil's tables take the low bits of the hash as they are, so the identity that std::hash gives for
	// integers and pointers would cluster. absl::Hash mixes.
	template<typename T>
	using hash = absl::Hash<T>;

	// Abseil's erase(iterator) returns nothing; the worker's loops want the next iterator, as in the standard
	// containers. Erasing does not invalidate other iterators, so it is taken before.
	template<typename Table>
	class with_returning_erase : public Table
	{
	public:
		using Table::Table;
		using Table::erase;
		using iterator       = typename Table::iterator;
		using const_iterator = typename Table::const_iterator;

		iterator erase(iterator it)
		{
			iterator next = std::next(it);

			Table::erase(it);

			return next;
		}
	};

	template<typename Key, typename Value, typename Hash = hash<Key>, typename Equal = std::equal_to<Key>>
	class map : public with_returning_erase<absl::flat_hash_map<Key, Value, Hash, Equal>>
	{
	public:
		using with_returning_erase<absl::flat_hash_map<Key, Value, Hash, Equal>>::with_returning_erase;
	};

	template<typename Key, typename Hash = hash<Key>, typename Equal = std::equal_to<Key>>
	class set : public with_returning_erase<absl::flat_hash_set<Key, Hash, Equal>>
	{
	public:
		using with_returning_erase<absl::flat_hash_set<Key, Hash, Equal>>::with_returning_erase;
	};
} // namespace ankerl::unordered_dense

#endif
