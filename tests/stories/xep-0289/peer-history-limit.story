# XEP-0289 5.1: a joining node may limit the history that it gets
site wonderland rooms.wonderland.lit
peer tower tower@rooms.verona.lit
user alice alice@wonderland.lit/rabbit

alice joins rabbithole@rooms.wonderland.lit as Alice
alice sends
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m1'><body>one</body></message>
  <message type='groupchat' to='rabbithole@rooms.wonderland.lit' id='m2'><body>two</body></message>
swallow

tower sends
  <presence from='tower@rooms.verona.lit/Juliet' to='rabbithole@rooms.wonderland.lit/Juliet'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='juliet@verona.lit/balcony'/>
    <x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='1'/></x>
    <x xmlns='http://jabber.org/protocol/muc#user'>
    <item affiliation='none' role='participant' jid='juliet@verona.lit/balcony'/></x></presence>
tower receives
  <presence from='rabbithole@rooms.wonderland.lit/Alice' to='tower@rooms.verona.lit'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='alice@wonderland.lit/rabbit'/>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/></x></presence>
  <presence from='rabbithole@rooms.wonderland.lit/Juliet' to='tower@rooms.verona.lit'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='juliet@verona.lit/balcony'/>
    <x xmlns='http://jabber.org/protocol/muc#user'><item affiliation='none' role='participant'/></x></presence>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit/Alice' to='tower@rooms.verona.lit' id='m2'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='alice@wonderland.lit/rabbit'/><body>two</body>
    <stanza-id xmlns='urn:xmpp:sid:0' by='rabbithole@rooms.wonderland.lit' id='{two}'/>
    <delay xmlns='urn:xmpp:delay' from='rabbithole@rooms.wonderland.lit' stamp='{sent}'/></message>
  <message type='groupchat' from='rabbithole@rooms.wonderland.lit' to='tower@rooms.verona.lit'>
    <fmuc xmlns='http://isode.com/protocol/fmuc' from='rabbithole@rooms.wonderland.lit'/><subject/></message>
swallow
