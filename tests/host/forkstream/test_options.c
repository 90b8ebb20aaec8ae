/* What ForkStream() is asked for: destinations, what admits them, and options. */

#include "host.h"
#include "options.h"

static const char *parse(const char *url, int is_entry)
{
	static char error[ERROR_SIZE];
	struct destination to;

	return destination_parse(&to, url, is_entry, error) ? error : "";
}

TEST(a_destination_is_taken_apart)
{
	static const struct {
		const char *url;
		enum destination_scheme scheme;
		const char *host;
		unsigned int port;
		const char *shown;
		const char *path;	/*!< what the client gets behind that */
	} cases[] = {
		{ "udp://127.0.0.1:9999", SCHEME_UDP, "127.0.0.1", 9999, "udp://127.0.0.1:9999", "" },
		{ "UDP://[::1]:1", SCHEME_UDP, "::1", 1, "udp://[::1]:1", "" },
		{ "ws://listener", SCHEME_WS, "listener", 80, "ws://listener:80", "" },
		{ "wss://a.example.com/in?token=secret", SCHEME_WSS, "a.example.com", 443, "wss://a.example.com:443",
			"/in?token=secret" },
		{ "ws://h:65535/", SCHEME_WS, "h", 65535, "ws://h:65535", "/" },
		{ "WSS://h/a:b/c", SCHEME_WSS, "h", 443, "wss://h:443", "/a:b/c" },
		{ "ws://h?a=/b", SCHEME_WS, "h", 80, "ws://h:80", "/?a=/b" },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct destination to;
		char error[ERROR_SIZE];

		CHECK_INT(destination_parse(&to, cases[i].url, 0, error), 0);
		CHECK_INT(to.scheme, cases[i].scheme);
		CHECK_STR(to.host, cases[i].host);
		CHECK_INT(to.port, cases[i].port);
		CHECK_STR(to.shown, cases[i].shown);
		CHECK(!strncmp(to.url, to.shown, strlen(to.shown)));
		CHECK_STR(to.url + strlen(to.shown), cases[i].path);
	}
}

TEST(what_is_no_destination_is_told_why)
{
	char longest[URL_SIZE + 16];

	CHECK_HAS(parse("", 0), "begins with udp://, ws:// or wss://");
	CHECK_HAS(parse("http://h:1", 0), "begins with");
	CHECK_HAS(parse("udp://h", 0), "udp:// needs one");
	CHECK_HAS(parse("udp://h:", 0), "from 1 to 65535");
	CHECK_HAS(parse("udp://h:0", 0), "from 1 to 65535");
	CHECK_HAS(parse("udp://h:65536", 0), "from 1 to 65535");
	CHECK_HAS(parse("udp://h:99999999999999999999", 0), "from 1 to 65535");
	CHECK_HAS(parse("udp://h:1x", 0), "from 1 to 65535");
	CHECK_HAS(parse("udp://h:*", 0), "from 1 to 65535");
	CHECK_HAS(parse("udp://h:1/path", 0), "nothing may follow the port");
	CHECK_HAS(parse("udp://:1", 0), "its host is a name");
	CHECK_HAS(parse("udp://*:1", 0), "its host is a name");
	CHECK_HAS(parse("udp://a/b:1", 0), "nothing may follow");
	CHECK_HAS(parse("udp://[::1:1", 0), "its host is a name");
	CHECK_HAS(parse("udp://[::1]x:1", 0), "its host is a name");
	CHECK_HAS(parse("udp://[h]:1", 0), "its host is a name");
	CHECK_HAS(parse("ws://user:word@h/", 0), "no user and password");
	/* For Asterisk's own parser the host would be what follows the @. */
	CHECK_HAS(parse("ws://127.0.0.1/@evil.example/", 0), "its path has a @; write %40");
	CHECK_HAS(parse("ws://127.0.0.1?@evil.example/", 0), "write %40");
	CHECK_HAS(parse("ws://127.0.0.1#.evil.example/", 0), "write %23");
	CHECK_HAS(parse("ws://h/a|b", 0), "write %7C");
	CHECK_HAS(parse("ws://h/a%zz", 0), "its path has a %; write %25");
	CHECK_HAS(parse("ws://h/%20%4", 0), "its path has a %; write %25");
	CHECK_STR(parse("ws://h/%20%4a?x=%7C", 0), "");
	CHECK_HAS(parse("ws://[::1]:1/", 0), "takes no address in brackets: write the host's name");
	CHECK_HAS(parse("wss://[::1]", 1), "takes no address in brackets");
	CHECK_HAS(parse("ws://h/a b", 0), "no blanks");
	CHECK_HAS(parse("ws://h/\r\nHost: x", 0), "no blanks");
	CHECK_HAS(parse("ws://h\xc3\xa9/", 0), "nothing beyond ASCII");
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	memcpy(longest, "ws://", 5);
	CHECK_HAS(parse(longest, 0), "1023 bytes at most");
	longest[URL_SIZE - 1] = '\0';
	CHECK_HAS(parse(longest, 0), "its host is a name");
	longest[6] = '/';
	CHECK_HAS(parse(longest, 0), "1023 bytes at most, its port included");
}

static int admits(const char *entry_text, const char *url)
{
	struct destination entry;
	struct destination to;
	char error[ERROR_SIZE];

	CHECK_INT(destination_parse(&entry, entry_text, 1, error), 0);
	CHECK_INT(destination_parse(&to, url, 0, error), 0);
	return destination_is_admitted(&entry, &to);
}

TEST(an_entry_admits_what_it_names)
{
	CHECK_INT(admits("udp://10.0.0.1:9", "udp://10.0.0.1:9"), 1);
	CHECK_INT(admits("udp://10.0.0.1:9", "udp://10.0.0.1:10"), 0);
	CHECK_INT(admits("udp://10.0.0.1:9", "udp://10.0.0.2:9"), 0);
	CHECK_INT(admits("udp://10.0.0.1", "udp://10.0.0.1:10"), 1);
	CHECK_INT(admits("udp://10.0.0.1:*", "udp://10.0.0.1:10"), 1);
	CHECK_INT(admits("udp://*:9", "udp://anything:9"), 1);
	CHECK_INT(admits("wss://H.example.com", "wss://h.EXAMPLE.com/x"), 1);
	CHECK_INT(admits("wss://h.example.com", "ws://h.example.com/x"), 0);
	CHECK_INT(admits("wss://*.example.com", "wss://a.b.example.com"), 1);
	CHECK_INT(admits("wss://*.example.com", "wss://example.com"), 0);
	CHECK_INT(admits("wss://*.example.com", "wss://.example.com"), 0);
	CHECK_INT(admits("wss://*.example.com", "wss://evilexample.com"), 0);
	CHECK_INT(admits("wss://*.example.com", "wss://a.example.com.evil"), 0);
	CHECK_HAS(parse("wss://*x", 1), "*.example.com");
	CHECK_HAS(parse("wss://a.*", 1), "*.example.com");
	CHECK_HAS(parse("wss://a/path", 1), "the host is what is admitted");
}

TEST(this_machine_is_known)
{
	static const struct {
		const char *url;
		int is_loopback;
	} cases[] = {
		{ "udp://127.0.0.1:1", 1 }, { "udp://127.255.0.9:1", 1 }, { "udp://[::1]:1", 1 },
		{ "ws://LocalHost", 1 }, { "udp://128.0.0.1:1", 0 }, { "udp://[::2]:1", 0 },
		{ "udp://127.0.0.1.example.com:1", 0 }, { "udp://0.0.0.0:1", 0 }, { "udp://localhost.evil:1", 0 },
		{ "udp://127.1:1", 0 },
	};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct destination to;
		char error[ERROR_SIZE];

		CHECK_INT(destination_parse(&to, cases[i].url, 0, error), 0);
		CHECK_INT(destination_is_loopback(&to), cases[i].is_loopback);
	}
}

/*! \brief Read options. \return what is wrong, "" if nothing is */
static const char *read_options(struct options *options, const char *text)
{
	static char error[ERROR_SIZE];
	char copy[1024];

	snprintf(copy, sizeof(copy), "%s", text);
	return options_parse(options, copy, error) ? error : "";
}

TEST(without_options_both_directions_are_apart)
{
	struct options options;

	CHECK_STR(read_options(&options, ""), "");
	CHECK_INT(options.directions, PACKET_BOTH);
	CHECK_INT(options.interleaved, 0);
	CHECK_INT(options.codec, PACKET_SLIN);
	CHECK_INT(options.rate, 8000);
	CHECK_INT(options.packet_ms, 20);
	CHECK_INT(options.skips_silence, 0);
	CHECK_INT(options.muted, 0);
	CHECK_INT(options.beep_s, -1);
}

TEST(each_option_is_read)
{
	struct options options;

	CHECK_STR(read_options(&options, "b(30)c(ulaw)d(rx)m(rx)p(40)r(16000)st(a tag)v(A&B)"), "");
	CHECK_INT(options.directions, PACKET_RX);
	CHECK_INT(options.codec, PACKET_ULAW);
	CHECK_INT(options.rate, 16000);
	CHECK_INT(options.packet_ms, 40);
	CHECK_INT(options.skips_silence, 1);
	CHECK_INT(options.muted, PACKET_RX);
	CHECK_INT(options.beep_s, 30);
	CHECK_STR(options.tag, "a tag");
	CHECK_STR(options.variables, "A&B");
	CHECK_STR(read_options(&options, "imb"), "");
	CHECK_INT(options.interleaved, 1);
	CHECK_INT(options.muted, PACKET_BOTH);
	CHECK_INT(options.beep_s, 0);
}

TEST(what_is_no_option_is_told_why)
{
	static const struct {
		const char *text;
		const char *error;
	} cases[] = {
		{ "x", "there is no option x" }, { "sX", "there is no option X" }, { "t(a)z", "no option z" },
		{ "t(a", "no closing bracket" }, { "\xc3", "there is no option" },
		{ "d", "d(rx), d(tx) or d(both)" }, { "d(up)", "d(rx)" }, { "m(up)", "m(rx)" },
		{ "c(opus)", "c(slin)" }, { "c", "c(slin)" }, { "r(44100)", "r(8000) or r(16000)" },
		{ "r(12000)", "r(8000)" }, { "r", "r(8000)" }, { "p(9)", "p(10) to p(60)" }, { "p(61)", "p(10)" },
		{ "p(2 0)", "p(10)" }, { "p(-20)", "p(10)" }, { "b(0)", "b(1)" }, { "b(x)", "b(1)" },
		{ "d(rx)i", "the option i is for both" }, { "ir(16000)p(30)", "1952 bytes, and 1400 fit" },
	};
	struct options options;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		CHECK_HAS(read_options(&options, cases[i].text), cases[i].error);
	}
}

TEST(a_tag_that_is_too_long_is_refused)
{
	struct options options;
	char text[TAG_SIZE + 8];

	memset(text, 'x', sizeof(text));
	memcpy(text, "t(", 2);
	strcpy(text + 2 + TAG_SIZE, ")");
	CHECK_HAS(read_options(&options, text), "127 bytes at most");
}
