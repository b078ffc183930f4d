using System.Text;

namespace Tessera.Models;

/// <summary>Turns a chat into ids by the prefix and suffix of each role.</summary>
internal static class ChatEncoder
{
    /// <summary>
    /// Encodes <paramref name="messages"/>. Special tokens are recognised in prefixes and suffixes alone; text between two of them is encoded in one
    /// piece, so that a message joins the text of its prefix as it did in training.
    /// </summary>
    public static int[] Encode(Tokenizer tokenizer, ChatFormat format, IReadOnlyList<ChatTurn> messages)
    {
        var ids = new List<int>();
        var text = new StringBuilder();
        foreach (var message in messages)
        {
            var role = RoleOf(format, message.Role);
            AppendTemplate(role.Prefix);
            text.Append(message.Content);
            AppendTemplate(role.Suffix);
        }

        FlushText();
        return [.. ids];

        void AppendTemplate(string template)
        {
            foreach (var (part, specialId) in tokenizer.CutSpecial(template))
            {
                if (specialId is not { } id)
                {
                    text.Append(part);
                    continue;
                }

                FlushText();
                ids.Add(id);
            }
        }

        void FlushText()
        {
            ids.AddRange(tokenizer.Encode(text.ToString(), allowSpecial: false, isStart: ids.Count == 0));
            text.Clear();
        }
    }

    private static RoleFormat RoleOf(ChatFormat format, string role) => role switch
    {
        "system" => format.System,
        "user" => format.User,
        "assistant" => format.Assistant,
        _ => throw new ArgumentException("The role of a message is system, user or assistant.", nameof(role)),
    };
}
