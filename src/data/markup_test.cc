// HTML and Markdown to text.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "data/html.h"
#include "data/markdown.h"

namespace volant {
namespace {

using ::testing::HasSubstr;

std::string html(std::string_view page) {
  const Result<HtmlText> text = text_of_html(page);
  EXPECT_TRUE(text) << text.error().to_string();
  return text ? text->text : "";
}

TEST(Html, KeepsTheTextAndLeavesTheFrameOut) {
  EXPECT_EQ(
      html(
          R"(<!doctype html><html><head><title>A title - Site</title><style>p{color:red}</style><script>var a = "<p>x</p>";</script></head>
<body><header><h1>Site name</h1></header><nav><ul><li><a href=/>Home</a></ul></nav>
<h2>Heading &amp; more</h2><p>First <b>bold</b> line,
  broken.<p>Second<br>after a break.</p>
<ul><li>one</li><li>two <a href=x>link</a></li></ul>
<table><tr><th>k</th><th>v</th></tr><tr><td>a</td><td>1</td></tr></table>
<pre>int  x;
  y();</pre>
<div hidden>secret</div><div style="display: none">gone</div><noscript>no</noscript>
<aside>Related</aside><footer>Imprint</footer></body></html>)"),
      "Heading & more\n\nFirst bold line, broken.\n\nSecond\nafter a break.\n\none\ntwo "
      "link\n\nk\tv\na\t1\n\nint  x;\n  y();");
  EXPECT_EQ(text_of_html("<title>A title</title><p>x")->title, "A title");
}

TEST(Html, PrefersTheMainPart) {
  EXPECT_EQ(html("<div>Menu of the site</div><main><header><h1>Title</h1></header><p>The long text of the "
                 "article itself.</p></main><div>More</div>"),
            "Title\n\nThe long text of the article itself.");
}

TEST(Html, DropsRunsOfLinks) {
  EXPECT_EQ(html("<p>Text with a <a href=x>link</a> "
                 "stays.</p><ul><li><a>One</a><li><a>Two</a><li><a>Three</a><li><a>Four</a></ul><p>End.</p>"),
            "Text with a link stays.\n\nEnd.");
}

TEST(Html, ReadsWhatBrowsersRead) {
  EXPECT_EQ(html("plain text"), "plain text");
  EXPECT_EQ(html("<p>un<i>closed &lt;tag&gt; &copy; &#20013;&#x6587;"), "unclosed <tag> © 中文");
  EXPECT_EQ(html(""), "");
  EXPECT_EQ(html("<p>a<!-- comment --> b</p><![CDATA[c]]>"), "a b");
}

TEST(Html, RefusesHostilePages) {
  std::string deep, formatting, tags;
  for (int i = 0; i < 200000; ++i) deep += "<div>";
  Result<HtmlText> refused = text_of_html(deep);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::kLimit);
  for (int i = 0; i < 1000; ++i) formatting += "<b id=" + std::to_string(i) + ">";
  for (int i = 0; i < 20000; ++i) formatting += "<p>x";
  refused = text_of_html(formatting);  // a million copies of <b>: refused, or done
  EXPECT_TRUE(refused || refused.error().code == ErrorCode::kLimit);
  for (int i = 0; i < 300000; ++i) tags += "<a";
  EXPECT_TRUE(text_of_html(tags + ">"));
  EXPECT_TRUE(text_of_html(std::string("a\0b<p>\0", 8)));
  EXPECT_FALSE(text_of_html(std::string(40 << 20, 'x')));
}

RC_GTEST_PROP(HtmlProperty, AnyTagSoupIsTextOrAnError, ()) {
  const auto piece = rc::gen::element<std::string>(
      "<p>", "</p>", "<b>", "</b>", "<table>", "<tr>", "<td>", "</table>", "<a href=x>", "</a>", "<svg>",
      "<math>", "<pre>", "</pre>", "text", "&amp", "&#0;", "<", ">", "<!--", "-->", "<script>", "</script>",
      "<br>", "<main>", "<template>", "<select>", "<li>", "<ul>", "\xFF", "中", "<title>", "</title>",
      "<form>", "</form>", "<frameset>");
  std::string page;
  for (const std::string& p : *rc::gen::container<std::vector<std::string>>(piece)) page += p;
  const Result<HtmlText> text = text_of_html(page);
  RC_ASSERT(text.has_value());
  RC_ASSERT(text->text.find("</p>") == std::string::npos);
}

TEST(Html, FindsTheDeclaredCharset) {
  EXPECT_EQ(declared_charset("<meta charset=\"GBK\">"), "gbk");
  EXPECT_EQ(declared_charset("<META http-equiv=Content-Type content='text/html; charset=gb2312'>"), "gb2312");
  EXPECT_EQ(declared_charset("<p>charset=x</p>"), "");
}

TEST(Markdown, KeepsTheTextWithoutItsMarkup) {
  EXPECT_EQ(text_of_markdown(
                "---\ntitle: x\n---\n# A *heading* #\n\nSome **bold** and _slanted_ `code_x` "
                "[link](http://x.org \"t\") ![picture](y.png).\n"
                "> quoted\n\nSetext\n======\n\n- item 2 * 3 and snake_case\n- [ ] task\n\n```cpp\nint **x = "
                "0;\n```\n\n| a | b |\n|---|:-:|\n| 1 | `2` |\n\n"
                "***\n<!-- gone --><br>a\\*b <https://x.org>\n\n[ref]: http://y.org\n[text][ref] ~~old~~\n"),
            "A heading\n\nSome bold and slanted code_x link picture.\nquoted\n\nSetext\n\n- item 2 * 3 and "
            "snake_case\n- [ ] task\n\nint **x = 0;\n\na\tb\n1\t2\n\n"
            "a*b https://x.org\n\ntext old\n");
}

TEST(Markdown, CutsAtHeadingsOutsideOfCode) {
  EXPECT_EQ(sections_of_markdown("intro\n# One\na\n```\n# no heading\n```\n## Two\nb\n"),
            (std::vector<std::string>{"intro\n", "# One\na\n```\n# no heading\n```\n", "## Two\nb\n"}));
  EXPECT_TRUE(sections_of_markdown("").empty());
}

TEST(Markdown, KeepsTheTextOfUnclosedMarkup) {
  std::string brackets(100000, '['), stars(100000, '*'), ticks, quotes(100000, '>');
  for (int i = 0; i < 20000; ++i) ticks += "`a``";
  for (const std::string& markup : {brackets, stars, ticks, quotes, brackets + "](x)"})
    EXPECT_THAT(text_of_markdown(markup + "\n\nWhat follows."), HasSubstr("What follows."));
  EXPECT_THAT(text_of_markdown("```\nnever closed"), HasSubstr("never closed"));
}

}  // namespace
}  // namespace volant
