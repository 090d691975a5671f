#include "engine/coord/modern/regex.h"

#include <new>
#include <re2/re2.h>

struct cg_regex {
    re2::RE2 re;
    cg_regex(const re2::StringPiece &pattern, const re2::RE2::Options &options) : re(pattern, options) {}
};

static const char *text_of(re2::RE2::ErrorCode code)
{
    switch (code) {
    case re2::RE2::ErrorBadEscape:
        return "invalid escape sequence";
    case re2::RE2::ErrorBadCharClass:
        return "invalid character class";
    case re2::RE2::ErrorBadCharRange:
        return "invalid character class range";
    case re2::RE2::ErrorMissingBracket:
        return "missing closing ]";
    case re2::RE2::ErrorMissingParen:
        return "missing closing )";
    case re2::RE2::ErrorUnexpectedParen:
        return "unexpected )";
    case re2::RE2::ErrorTrailingBackslash:
        return "trailing backslash at end of expression";
    case re2::RE2::ErrorRepeatArgument:
        return "missing argument to repetition operator";
    case re2::RE2::ErrorRepeatSize:
        return "invalid repeat count";
    case re2::RE2::ErrorRepeatOp:
        return "invalid nested repetition operator";
    case re2::RE2::ErrorBadPerlOp:
        return "invalid or unsupported Perl syntax";
    case re2::RE2::ErrorBadUTF8:
        return "invalid UTF-8";
    case re2::RE2::ErrorBadNamedCapture:
        return "invalid named capture";
    case re2::RE2::ErrorPatternTooLarge:
        return "expression too large";
    default:
        return "internal error";
    }
}

struct cg_regex *cg_regex_compile(const char *pattern, size_t n, const char **why)
{
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_never_capture(true);
    options.set_max_mem(CG_REGEX_MEM);
    *why = "out of memory";
    cg_regex *r = new (std::nothrow) cg_regex(re2::StringPiece(pattern, n), options);
    if (r && !r->re.ok()) {
        *why = text_of(r->re.error_code());
        delete r;
        return nullptr;
    }
    return r;
}

bool cg_regex_matches(const struct cg_regex *re, const char *text, size_t n)
{
    SL_ASSERT(re != nullptr);
    return re->re.Match(re2::StringPiece(text, n), 0, n, re2::RE2::ANCHOR_BOTH, nullptr, 0);
}

void cg_regex_free(struct cg_regex *re)
{
    delete re;
}
