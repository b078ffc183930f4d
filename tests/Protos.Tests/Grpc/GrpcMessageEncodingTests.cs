using Tessera.Protos.Grpc;

namespace Tessera.Protos.Tests.Grpc;

public sealed class GrpcMessageEncodingTests
{
    [Theory]
    [InlineData("", "")]
    [InlineData("max_tokens: at most 2048, found 9", "max_tokens: at most 2048, found 9")]
    [InlineData("100 %", "100 %25")]
    [InlineData("a\r\nb", "a%0D%0Ab")]
    [InlineData("~\u007f", "~%7F")]
    [InlineData("é€😀", "%C3%A9%E2%82%AC%F0%9F%98%80")]
    public void Encode_Text_KeepsVisibleAsciiAndDecodesBack(string text, string encoded)
    {
        Assert.Equal(encoded, GrpcMessageEncoding.Encode(text));
        Assert.Equal(text, GrpcMessageEncoding.Decode(encoded));
    }

    [Theory]
    [InlineData("%", "%")]
    [InlineData("50%", "50%")]
    [InlineData("%4", "%4")]
    [InlineData("%zz!", "%zz!")]
    [InlineData("%41%", "A%")]
    [InlineData("%c3%a9", "é")]
    [InlineData("%FF", "\uFFFD")]
    [InlineData("é%20", "é ")]
    public void Decode_BrokenValue_KeepsWhatIsNoEscape(string value, string text) => Assert.Equal(text, GrpcMessageEncoding.Decode(value));
}
