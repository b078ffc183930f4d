namespace Tessera.Models;

/// <summary>One entry of <c>added_tokens</c>.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Content">Its text.</param>
/// <param name="IsSpecial">Whether it is control and not text.</param>
internal sealed record AddedToken(int Id, string Content, bool IsSpecial);

/// <summary>Finds the content of added tokens in a text: the leftmost, and of those the longest.</summary>
internal sealed class AddedTokens
{
    private readonly Node _root = new();

    /// <summary>Finds any of <paramref name="tokens"/>.</summary>
    public AddedTokens(IEnumerable<AddedToken> tokens)
    {
        foreach (var token in tokens)
        {
            var node = _root;
            foreach (var c in token.Content)
            {
                if (!node.Next.TryGetValue(c, out var next))
                    node.Next.Add(c, next = new Node());
                node = next;
            }

            node.Token = token;
        }
    }

    /// <summary>Cuts <paramref name="text"/> into stretches of plain text and added tokens, in order; none is empty.</summary>
    public IEnumerable<(Range Part, AddedToken? Token)> Cut(string text)
    {
        var plainStart = 0;
        for (var i = 0; i < text.Length;)
        {
            if (LongestAt(text, i) is not { } token)
            {
                i++;
                continue;
            }

            if (i > plainStart)
                yield return (plainStart..i, null);
            yield return (i..(i + token.Content.Length), token);
            i += token.Content.Length;
            plainStart = i;
        }

        if (plainStart < text.Length)
            yield return (plainStart..text.Length, null);
    }

    private AddedToken? LongestAt(string text, int start)
    {
        var node = _root;
        AddedToken? longest = null;
        for (var i = start; i < text.Length && node.Next.TryGetValue(text[i], out node); i++)
            longest = node.Token ?? longest;
        return longest;
    }

    private sealed class Node
    {
        public Dictionary<char, Node> Next { get; } = [];

        public AddedToken? Token { get; set; }
    }
}
