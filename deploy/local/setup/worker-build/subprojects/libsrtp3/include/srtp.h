// libsrtp 3's interface, as far as mediasoup's worker uses it, over libsrtp 2.
//
// libsrtp 3 is a beta that only its own site serves; Debian's libsrtp 2 source builds with OpenSSL in seconds
// and is as fast. What differs between the two:
//  - srtp_policy_t is an opaque handle with setters in 3, and a plain struct in 2;
//  - protect and unprotect take an input and an output buffer with its capacity in 3, and work in place in 2;
//  - srtp_stream_remove is called srtp_remove_stream in 2;
//  - two error codes exist in 3 only.
#ifndef PLENARY_SHIM_SRTP3_H
#define PLENARY_SHIM_SRTP3_H

// The struct of libsrtp 2 gets out of the way of the handle of the same name.
#define srtp_policy_t srtp2_policy_t
#include <srtp2/srtp.h>
#undef srtp_policy_t

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>

// One past libsrtp 2's last code and the next; the worker only names them in its table of messages.
#define srtp_err_status_buffer_small static_cast<srtp_err_status_t>(srtp_err_status_pkt_idx_adv + 1)
#define srtp_err_status_cryptex_err static_cast<srtp_err_status_t>(srtp_err_status_pkt_idx_adv + 2)

struct plenary_srtp_policy
{
	srtp2_policy_t policy;
	// Key and salt, one after the other, as libsrtp 2 wants them. 32 + 14 bytes are the longest there are.
	unsigned char key[SRTP_MAX_KEY_LEN];
};

using srtp_policy_t = plenary_srtp_policy*;

inline srtp_err_status_t srtp_policy_create(srtp_policy_t* policy)
{
	*policy = new (std::nothrow) plenary_srtp_policy{};

	return *policy != nullptr ? srtp_err_status_ok : srtp_err_status_alloc_fail;
}

inline void srtp_policy_destroy(srtp_policy_t policy)
{
	delete policy;
}

inline srtp_err_status_t srtp_policy_set_ssrc(srtp_policy_t policy, srtp_ssrc_t ssrc)
{
	policy->policy.ssrc = ssrc;

	return srtp_err_status_ok;
}

inline srtp_err_status_t srtp_policy_set_profile(srtp_policy_t policy, srtp_profile_t profile)
{
	const srtp_err_status_t err =
	  srtp_crypto_policy_set_from_profile_for_rtp(&policy->policy.rtp, profile);

	if (err != srtp_err_status_ok)
	{
		return err;
	}

	return srtp_crypto_policy_set_from_profile_for_rtcp(&policy->policy.rtcp, profile);
}

inline srtp_err_status_t srtp_policy_add_key(
  srtp_policy_t policy,
  const uint8_t* key,
  size_t keyLen,
  const uint8_t* salt,
  size_t saltLen,
  const uint8_t* /*mki*/,
  size_t mkiLen)
{
	if (mkiLen != 0 || keyLen + saltLen > sizeof(policy->key))
	{
		return srtp_err_status_bad_param;
	}

	std::memcpy(policy->key, key, keyLen);
	std::memcpy(policy->key + keyLen, salt, saltLen);
	policy->policy.key = policy->key;

	return srtp_err_status_ok;
}

inline srtp_err_status_t srtp_policy_set_allow_repeat_tx(srtp_policy_t policy, bool allow)
{
	policy->policy.allow_repeat_tx = allow ? 1 : 0;

	return srtp_err_status_ok;
}

inline srtp_err_status_t srtp_policy_set_window_size(srtp_policy_t policy, size_t size)
{
	policy->policy.window_size = size;

	return srtp_err_status_ok;
}

inline srtp_err_status_t srtp_create(srtp_t* session, srtp_policy_t policy)
{
	return srtp_create(session, &policy->policy);
}

inline srtp_err_status_t srtp_stream_remove(srtp_t session, uint32_t ssrc)
{
	return srtp_remove_stream(session, ssrc);
}

namespace plenary_srtp
{
	using InPlace = srtp_err_status_t (*)(srtp_t, void*, int*);

	// Copies the packet to the output (unless it is there already) and runs the in-place operation on it.
	// `room` is what the operation may add behind the packet.
	inline srtp_err_status_t Run(
	  InPlace operation, srtp_t session, const uint8_t* in, size_t inLen, uint8_t* out, size_t* outLen, size_t room)
	{
		if (*outLen < inLen + room)
		{
			return srtp_err_status_buffer_small;
		}

		if (in != out)
		{
			std::memmove(out, in, inLen);
		}

		int len = static_cast<int>(inLen);

		const srtp_err_status_t err = operation(session, out, &len);

		if (err == srtp_err_status_ok)
		{
			*outLen = static_cast<size_t>(len);
		}

		return err;
	}

	// An SRTCP packet also carries its index (4 bytes) behind the trailer.
	constexpr size_t RtcpTrailerLen = SRTP_MAX_TRAILER_LEN + 4;
} // namespace plenary_srtp

inline srtp_err_status_t srtp_protect(
  srtp_t session, const uint8_t* rtp, size_t rtpLen, uint8_t* srtp, size_t* srtpLen, size_t /*mkiIndex*/)
{
	return plenary_srtp::Run(
	  static_cast<plenary_srtp::InPlace>(srtp_protect), session, rtp, rtpLen, srtp, srtpLen, SRTP_MAX_TRAILER_LEN);
}

inline srtp_err_status_t srtp_unprotect(
  srtp_t session, const uint8_t* srtp, size_t srtpLen, uint8_t* rtp, size_t* rtpLen)
{
	return plenary_srtp::Run(
	  static_cast<plenary_srtp::InPlace>(srtp_unprotect), session, srtp, srtpLen, rtp, rtpLen, 0);
}

inline srtp_err_status_t srtp_protect_rtcp(
  srtp_t session, const uint8_t* rtcp, size_t rtcpLen, uint8_t* srtcp, size_t* srtcpLen, size_t /*mkiIndex*/)
{
	return plenary_srtp::Run(
	  static_cast<plenary_srtp::InPlace>(srtp_protect_rtcp),
	  session,
	  rtcp,
	  rtcpLen,
	  srtcp,
	  srtcpLen,
	  plenary_srtp::RtcpTrailerLen);
}

inline srtp_err_status_t srtp_unprotect_rtcp(
  srtp_t session, const uint8_t* srtcp, size_t srtcpLen, uint8_t* rtcp, size_t* rtcpLen)
{
	return plenary_srtp::Run(
	  static_cast<plenary_srtp::InPlace>(srtp_unprotect_rtcp), session, srtcp, srtcpLen, rtcp, rtcpLen, 0);
}

#endif
